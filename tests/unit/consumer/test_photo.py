import asyncio
from collections.abc import AsyncIterator

import pytest

from consumer.errors import JobFailed, Unavailable
from consumer.job.holds import Holds
from consumer.job.photo import fetch_photo
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from consumer.telemetry.metrics import Metrics
from schemas.job import ImageReference
from tests.support.receiver import Behaviour, hang_up, reply
from tests.support.s3_stand_in import S3StandIn, breaking_off, dripping, error

BAD = ImageReference("uploads", "bad.jpg")
GOOD = ImageReference("uploads", "good.jpg")
OTHER = ImageReference("uploads", "other.jpg")
MAX_ATTEMPTS = 3

BROKEN = breaking_off(b"half a ph", promised=100)


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3StandIn]:
    """An S3 with two good photos and a bad one."""
    async with S3StandIn() as server:
        monkeypatch.setenv("S3_ENDPOINT_URL", server.origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("FETCH_DEADLINE_SECONDS", "2")
        server.put("/uploads/good.jpg", b"good photo")
        server.put("/uploads/other.jpg", b"other photo")
        server.objects["/uploads/bad.jpg"] = BROKEN
        yield server


@pytest.fixture
async def images(s3: S3StandIn) -> AsyncIterator[Images]:
    """Fetches from it."""
    async with Images(load(S3Settings), max_bytes=1000, threads=4) as opened:
        yield opened


class Job:
    """One job's fetch, which counts its waits and may act in each."""

    def __init__(self, images: Images, reference: ImageReference) -> None:
        self.waits = 0
        self.reasons: list[str] = []
        self.waited = asyncio.Condition()
        self._images = images
        self._holds = Holds(metrics=Metrics(), jitter=lambda low, high: 0.0)
        self.task = asyncio.create_task(self._fetch(reference))

    async def _fetch(self, reference: ImageReference) -> bytes:
        return await fetch_photo(
            reference,
            sha256=None,
            images=self._images,
            holds=self._holds,
            max_attempts=MAX_ATTEMPTS,
            on_retry=self._on_retry,
        )

    async def _on_retry(self, fault: Unavailable, delay: float) -> None:
        self.reasons.append(str(fault))
        async with self.waited:
            self.waits += 1
            self.waited.notify_all()

    async def until_waits(self, number: int) -> None:
        """Wait until it has waited so often, and is not over."""
        async with self.waited:
            await self.waited.wait_for(lambda: self.waits >= number)
        assert not self.task.done()

    async def failure(self) -> JobFailed:
        """Give what the job failed of."""
        with pytest.raises(JobFailed) as raised:
            await self.task
        return raised.value

    async def end(self) -> None:
        """Cancel it."""
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.mark.parametrize(
    "bad",
    [
        BROKEN,
        hang_up,
        dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 1000),
        reply(400, error("SomethingNew")),
        reply(403, error("SignatureDoesNotMatch")),
        reply(301, error("PermanentRedirect")),
        reply(403, b"<html>Forbidden by the firewall</html>"),
    ],
)
async def test_one_object_that_cannot_be_fetched_is_given_up(
    bad: bytes | Behaviour, s3: S3StandIn, images: Images
) -> None:
    """After `MAX_ATTEMPTS` fetches; a range of the last good one is the proof between them."""
    s3.objects["/uploads/bad.jpg"] = bad
    assert await Job(images, GOOD).task == b"good photo"
    job = Job(images, BAD)
    failed = await job.failure()
    assert (failed.code, failed.stage) == ("storage_unavailable", "fetch")
    assert "s3://uploads/bad.jpg failed 3 times (MAX_ATTEMPTS)" in str(failed)
    assert len(s3.asked_for("/uploads/bad.jpg")) == MAX_ATTEMPTS
    assert job.waits == MAX_ATTEMPTS - 1
    proofs = s3.asked_for("/uploads/good.jpg")[1:]
    assert [proof.headers["Range"] for proof in proofs] == ["bytes=0-9"] * (MAX_ATTEMPTS - 1)


async def test_others_that_are_fetched_meanwhile_are_proof_enough(
    s3: S3StandIn, images: Images
) -> None:
    """Nothing is fetched a second time for it."""
    job = Job(images, BAD)
    while not job.task.done():
        await Job(images, GOOD).task
        await Job(images, OTHER).task
    assert (await job.failure()).code == "storage_unavailable"
    assert {None} == {request.headers["Range"] for request in s3.requests}


async def test_two_bad_objects_do_not_shield_each_other(s3: S3StandIn, images: Images) -> None:
    """A window full of them: each waits, and what was fetched before both is read once more."""
    s3.objects["/uploads/worse.jpg"] = hang_up
    await Job(images, GOOD).task
    jobs = [Job(images, BAD), Job(images, ImageReference("uploads", "worse.jpg"))]
    codes = [(await job.failure()).code for job in jobs]
    assert codes == ["storage_unavailable"] * 2


async def test_nothing_is_given_up_while_s3_gives_nothing(s3: S3StandIn, images: Images) -> None:
    """However often it fails: an outage is no object's trouble."""
    await Job(images, GOOD).task
    s3.everything = BROKEN
    jobs = [Job(images, GOOD), Job(images, BAD), Job(images, OTHER)]
    for job in jobs:
        await job.until_waits(4 * MAX_ATTEMPTS)
    s3.everything = None
    s3.put("/uploads/bad.jpg", b"well again")
    photos = [await job.task for job in jobs]
    assert photos == [b"good photo", b"well again", b"other photo"]


async def test_nothing_is_given_up_where_nothing_was_ever_fetched(
    s3: S3StandIn, images: Images
) -> None:
    """Without proof it may be S3."""
    job = Job(images, BAD)
    await job.until_waits(4 * MAX_ATTEMPTS)
    await job.end()


async def test_ranges_prove_nothing_while_other_jobs_wait_in_vain(
    s3: S3StandIn, images: Images
) -> None:
    """An S3 that breaks off every whole object is in trouble, though it answers ranges."""
    await Job(images, GOOD).task

    async def ranges_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if s3.requests[-1].headers["Range"]:
            writer.write(reply(206, b"good photo"))
            await writer.drain()
        else:
            writer.close()

    s3.everything = ranges_only
    jobs = [Job(images, BAD), Job(images, OTHER)]
    for job in jobs:
        await job.until_waits(3 * MAX_ATTEMPTS)
    for job in jobs:
        await job.end()


@pytest.mark.parametrize(
    "trouble",
    [
        reply(503, error("SlowDown")),
        reply(500, error("InternalError")),
        reply(400, error("ThrottlingException")),
        reply(403, error("InvalidAccessKeyId")),
        reply(400, error("ExpiredToken")),
        reply(502, b"<html>bad gateway</html>"),
    ],
)
async def test_what_s3_says_of_itself_is_never_held_against_an_object(
    trouble: bytes, s3: S3StandIn, images: Images
) -> None:
    """Though others are fetched meanwhile: they may have been luckier."""
    s3.objects["/uploads/bad.jpg"] = trouble
    job = Job(images, BAD)
    for number in range(1, 3 * MAX_ATTEMPTS):
        await Job(images, GOOD).task
        await job.until_waits(number)
    await job.end()


async def test_an_outage_begins_the_count_anew(s3: S3StandIn, images: Images) -> None:
    """What broke off before and after a restart of S3 isn't added up."""
    await Job(images, GOOD).task
    fine = reply(200, b"good photo")
    busy = reply(503, error("SlowDown"))
    s3.answers.extend([BROKEN, fine, BROKEN, fine, busy, BROKEN, fine, BROKEN, fine, busy])
    s3.put("/uploads/bad.jpg", b"well again")
    assert await Job(images, BAD).task == b"well again"


async def test_a_proof_that_is_gone_proves_nothing(s3: S3StandIn, images: Images) -> None:
    """Photos may be deleted when they are done; another one is asked for."""
    await Job(images, OTHER).task
    await Job(images, GOOD).task
    del s3.objects["/uploads/good.jpg"]
    assert (await Job(images, BAD).failure()).code == "storage_unavailable"
    del s3.objects["/uploads/other.jpg"]
    job = Job(images, BAD)
    await job.until_waits(3 * MAX_ATTEMPTS)
    await job.end()


async def test_a_good_photo_after_failures_is_a_good_photo(s3: S3StandIn, images: Images) -> None:
    """What failed less than `MAX_ATTEMPTS` times is fetched in the end."""
    await Job(images, GOOD).task
    fine = reply(200, b"good photo")
    s3.answers.extend([BROKEN, fine, BROKEN, fine])
    s3.put("/uploads/bad.jpg", b"well again")
    assert await Job(images, BAD).task == b"well again"
