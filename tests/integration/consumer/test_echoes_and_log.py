"""What a receiver echoes, and what becomes of a line whose log nobody reads."""

import fcntl
import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from producer_tools.local import ports
from tests.support.bench import Bench
from tests.support.receiver import Receiver, reply
from tests.support.topics import following

pytestmark = pytest.mark.integration

SECRET = 'a"long\\secret-of-ours'  # noqa: S105  # of this test
END_SECONDS = 60.0


async def test_no_echo_of_the_secret_reaches_anybody(bench: Bench) -> None:
    """Escaped, cut by us, or in an answer that is none: not in events nor dead letters."""
    photo = bench.put_photo()
    spelt = json.dumps({"said": SECRET})
    echoes = [
        reply(400, SECRET.encode()),
        reply(400, spelt.encode()),
        reply(400, b"x" * 190 + SECRET.encode()),
        reply(400, b"x" * 185 + spelt.encode()),
        reply(200, json.dumps({"status": SECRET, "stored_keys": {SECRET: 1}}).encode()),
    ]
    async with Receiver() as receiver:
        receiver.answers.extend(echoes)
        for number in range(len(echoes)):
            await bench.submit(f"job-{number}", photo)
        consumer = bench.start(
            MASK_ASSET_URL=f"{receiver.origin}/masks",
            MASK_COMPONENT_SECRET=SECRET,
            MAX_IN_FLIGHT=1,
        )
        events = await bench.terminal_events(len(echoes))
        assert [event["error"]["code"] for event in events] == ["callback_rejected"] * len(echoes)
        for text in (json.dumps(events), await dead_letters(bench, len(echoes))):
            assert "***" in text
            assert not [part for part in parts(SECRET) if part in text]
        await consumer.end()
        assert not [part for part in parts(SECRET) if part in consumer.log.read_text()]


async def test_readyz_does_not_show_the_secret(bench: Bench) -> None:
    """Anybody may read it."""
    photo = bench.put_photo()
    async with Receiver() as receiver:
        receiver.answers.extend([reply(401, json.dumps({"wrong": SECRET}).encode())] * 20)
        await bench.submit("held", photo)
        consumer = bench.start(
            MASK_ASSET_URL=f"{receiver.origin}/masks", MASK_COMPONENT_SECRET=SECRET
        )
        event = await bench.event(lambda event: event["state"] == "retrying")
        await consumer.until_holding("MASK_COMPONENT_SECRET")
        for text in (json.dumps(await consumer.get("/readyz")), json.dumps(event)):
            assert not [part for part in parts(SECRET) if part in text]


async def test_a_log_that_nobody_reads_stops_nothing(bench: Bench) -> None:
    """Jobs complete, probes answer, lines are counted, and it ends with 0."""
    photo = bench.put_photo()
    jobs = 60
    for number in range(jobs):
        await bench.submit(f"job-{number}", photo)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    port = ports.choose("the consumer", setting="HEALTH_PORT")
    process = started(bench, stderr=writer, port=port)
    try:
        os.close(writer)
        events = await bench.terminal_events(jobs)
        assert {event["state"] for event in events} == {"completed"}
        async with httpx.AsyncClient(base_url=f"http://{ports.HOST}:{port}") as probe:
            assert (await probe.get("/livez")).status_code == 200
            metrics = (await probe.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_SECONDS) == 0
    finally:
        process.kill()
        os.close(reader)
    assert "mask_log_lines_dropped_total" in metrics


def started(bench: Bench, *, stderr: int, port: int) -> subprocess.Popen[bytes]:
    """Start a consumer that has much to say."""
    own = {"HOST": ports.HOST, "HEALTH_PORT": str(port), "LOG_LEVEL": "DEBUG"}
    return subprocess.Popen(
        [sys.executable, "-m", "consumer"],
        env={**os.environ, **bench.environment, **own},
        stderr=stderr,
    )


def parts(secret: str) -> list[str]:
    """Every part of a secret that tells something of it."""
    return [secret[at : at + 8] for at in range(len(secret) - 7)]


async def dead_letters(bench: Bench, count: int) -> str:
    """Read the headers of the dead letters."""
    headers: list[str] = []
    letters = 0
    async with following(bench.bootstrap, bench.line.dead_letters) as records:
        async for record in records:
            headers += [f"{name}: {value!r}" for name, value in record.headers]
            letters += 1
            if letters == count:
                break
    return "\n".join(headers)
