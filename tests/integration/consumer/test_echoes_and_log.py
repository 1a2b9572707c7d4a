"""What a receiver echoes, and what becomes of a line whose log nobody reads."""

import fcntl
import json
import os
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from producer_tools.local import ports
from tests.integration.consumer.conftest import Bench, Consumer
from tests.receiver import Receiver, reply

pytestmark = pytest.mark.integration

SECRET = 'a"long\\secret-of-ours'  # noqa: S105  # of this test


async def test_no_echo_of_the_secret_reaches_anybody(bench: Bench) -> None:
    """Escaped, cut by us, or in an answer that is none: not in events nor dead letters."""
    photo = bench.put_photo()
    spelt = json.dumps({"said": SECRET})
    echoes = [
        reply(400, SECRET.encode()),
        reply(400, spelt.encode()),
        reply(400, b"x" * 190 + SECRET.encode()),
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
        assert consumer.end() == 0
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
        event = await bench.events_until(lambda event: event["state"] == "retrying")
        consumer.wait_not_ready("MASK_COMPONENT_SECRET")
        for text in (consumer.get("/readyz").text, json.dumps(event)):
            assert not [part for part in parts(SECRET) if part in text]


async def test_a_log_that_nobody_reads_stops_nothing(bench: Bench) -> None:
    """Jobs complete, probes answer, lines are counted, and it ends with 0."""
    photo = bench.put_photo()
    jobs = 60
    for number in range(jobs):
        await bench.submit(f"job-{number}", photo)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    consumer = started(bench, stderr=writer)
    try:
        os.close(writer)
        events = await bench.terminal_events(jobs)
        assert {event["state"] for event in events} == {"completed"}
        assert consumer.get("/livez").status_code == 200
        assert "mask_log_lines_dropped_total" in consumer.get("/metrics").text
        assert consumer.end() == 0
    finally:
        consumer.process.kill()
        os.close(reader)


def started(bench: Bench, *, stderr: int) -> Consumer:
    """Start a consumer that has much to say."""
    port = ports.choose("the consumer", setting="HEALTH_PORT")
    environment = {**bench.environment, "HEALTH_PORT": str(port), "LOG_LEVEL": "DEBUG"}
    process = subprocess.Popen([sys.executable, "-m", "consumer"], env=environment, stderr=stderr)
    return Consumer(process, port, bench.folder / "no log")


def parts(secret: str) -> list[str]:
    """Every part of a secret that tells something of it."""
    return [secret[at : at + 8] for at in range(len(secret) - 7)]


async def dead_letters(bench: Bench, count: int) -> str:
    """Read the headers of the dead letters."""
    partition = TopicPartition(bench.line.dead_letters, 0)
    reader = AIOKafkaConsumer(
        bootstrap_servers=bench.stack.kafka.bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    headers: list[str] = []
    async with reader:
        reader.assign([partition])
        for _ in range(count):
            record = await reader.getone()
            headers += [f"{name}: {value.decode()}" for name, value in record.headers]
    return "\n".join(headers)
