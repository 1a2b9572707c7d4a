"""A real line whose S3, or STS, doesn't behave."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess
from tests.support.photos import saved
from tests.support.receiver import Behaviour, Receiver, reply
from tests.support.s3_stand_in import S3StandIn, breaking_off, dripping

pytestmark = pytest.mark.integration

PHOTO = saved(Image.new("RGB", (64, 96), "red"))
HALF = breaking_off(b"half a photo", promised=1000)


@pytest.fixture
async def s3() -> AsyncIterator[S3StandIn]:
    """An S3 with good photos."""
    async with S3StandIn() as server:
        for number in range(40):
            server.put(f"/uploads/good-{number}.png", PHOTO)
        yield server


async def started(bench: Bench, s3: S3StandIn, **settings: Any) -> ConsumerProcess:
    """Start a consumer whose photos are there, and wait until it is ready."""
    consumer = bench.start(S3_ENDPOINT_URL=s3.origin, **settings)
    await consumer.until_ready()
    return consumer


async def submit(bench: Bench, *names: str) -> None:
    """Submit a job for each photo; a job's id is its photo's name."""
    for name in names:
        await bench.submit(name, f"s3://uploads/{name}.png")


async def codes(bench: Bench, count: int) -> dict[str, str]:
    """Give how so many jobs ended: completed, or the error's code."""
    events: list[dict[str, Any]] = await bench.terminal_events(count)
    return {
        event["job_id"]: (event["error"] or {"code": event["state"]})["code"] for event in events
    }


async def held(bench: Bench, consumer: ConsumerProcess, *, because: str) -> None:
    """Wait until the line holds for that reason, and says so in an event."""
    await bench.event(
        lambda event: (
            event["state"] == "retrying" and event["error"]["code"] == "storage_unavailable"
        )
    )
    await consumer.until_holding(because)


@pytest.mark.parametrize(
    ("trouble", "because"),
    [
        (reply(404, b"default backend - 404", Content_Type="text/plain"), "404 'default backend"),
        (
            dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000, seconds=0.2),
            "FETCH_DEADLINE_SECONDS",
        ),
    ],
)
async def test_an_s3_in_trouble_costs_no_job(
    trouble: bytes | Behaviour, because: str, bench: Bench, s3: S3StandIn
) -> None:
    """The line holds, says why, and does every job when S3 is well again."""
    consumer = await started(bench, s3, FETCH_DEADLINE_SECONDS=1)
    await submit(bench, "good-0")
    assert await codes(bench, 1) == {"good-0": "completed"}
    s3.everything = trouble
    names = [f"good-{number}" for number in range(1, 21)]
    await submit(bench, *names)
    await held(bench, consumer, because=because)
    s3.everything = None
    assert await codes(bench, 21) == dict.fromkeys(["good-0", *names], "completed")


@pytest.mark.parametrize(
    ("bad", "max_in_flight"),
    [
        (HALF, 1),
        (
            dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000, seconds=0.2),
            16,
        ),
    ],
)
async def test_one_object_in_trouble_does_not_stop_the_line(
    bad: Behaviour, max_in_flight: int, bench: Bench, s3: S3StandIn
) -> None:
    """Jobs one at a time, and a window that is full of what waits behind it."""
    s3.objects["/uploads/bad.png"] = bad
    await started(bench, s3, FETCH_DEADLINE_SECONDS=1, MAX_IN_FLIGHT=max_in_flight)
    names = [f"good-{number}" for number in range(1, 31)]
    await submit(bench, "good-0", "bad", *names)
    expected = {"good-0": "completed", "bad": "storage_unavailable"}
    assert await codes(bench, 32) == expected | dict.fromkeys(names, "completed")
    assert len(s3.asked_for("/uploads/bad.png")) == 3


async def test_a_window_full_of_bad_objects_does_not_stop_the_line(
    bench: Bench, s3: S3StandIn
) -> None:
    """None is left to fetch that could be."""
    await started(bench, s3, MAX_IN_FLIGHT=4)
    bad = [f"bad-{number}" for number in range(6)]
    for name in bad:
        s3.objects[f"/uploads/{name}.png"] = HALF
    await submit(bench, "good-0", *bad, "good-1")
    expected = dict.fromkeys(bad, "storage_unavailable")
    assert await codes(bench, 8) == expected | {"good-0": "completed", "good-1": "completed"}


async def test_an_sts_that_refuses_our_role_costs_no_job(
    bench: Bench, s3: S3StandIn, tmp_path: Path
) -> None:
    """`/readyz` names STS; S3 isn't asked."""
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    token = tmp_path / "token"
    token.write_text("token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        bench.environment.pop(name)
    async with Receiver() as sts:
        sts.answers.extend([reply(403, refusal)] * 1000)
        consumer = await started(
            bench,
            s3,
            AWS_ENDPOINT_URL_STS=sts.origin,
            AWS_ROLE_ARN="arn:aws:iam::123456789012:role/line",
            AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
        )
        await submit(bench, "good-0", "good-1", "good-2")
        await held(bench, consumer, because="no credentials for S3: from STS: ")
        assert s3.requests == []
        sts.answers.clear()
        grant = (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            "<AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>"
            "<SessionToken>c</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        sts.answers.append(reply(200, grant.encode()))
        names = ("good-0", "good-1", "good-2")
        assert await codes(bench, 3) == dict.fromkeys(names, "completed")


async def test_a_credential_process_that_is_not_there_is_exit_2(
    bench: Bench, tmp_path: Path
) -> None:
    """With one sentence."""
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = /nowhere/program\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        bench.environment.pop(name)
    consumer = bench.start(AWS_CONFIG_FILE=str(config))
    assert await consumer.exit_code() == 2
    said = consumer.log.read_text()
    assert "Traceback" not in said
    assert "/nowhere/program" in said
