"""The client on a real Kafka and S3: records in order, photos of their own, no half batches."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from consumer.settings import KafkaSettings
from producer_tools.client.client import Client
from producer_tools.client.new_job import NewJob
from producer_tools.errors import InvalidJobError, PhotoError, ServiceError
from producer_tools.local import ports
from schemas.control import Cancel
from schemas.job import Batch, ImageReference, Job
from schemas.trace_context import traceparent
from tests.integration.tools.conftest import ToolLine

pytestmark = pytest.mark.integration

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def client(tool_line: ToolLine) -> AsyncIterator[Client]:
    """A client of the test's line."""
    async with Client(tool_line.kafka, tool_line.s3) as client:
        yield client


async def jobs_of(line: ToolLine) -> list[Job]:
    """Read the jobs topic."""
    return [Job.read(record.value) for record in await line.records(line.kafka.jobs_topic)]


async def test_a_submitted_photo_is_where_its_record_says(
    tool_line: ToolLine, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"a photo")
    submitted = await client.submit(NewJob(photo=file, user_id="u-1", traceparent=TRACE))
    (record,) = await tool_line.records(tool_line.kafka.jobs_topic)
    job = Job.read(record.value)
    stored = tool_line.stack.s3.client().get_object(
        Bucket=job.image_reference.bucket, Key=job.image_reference.key
    )
    assert b"a photo" == stored["Body"].read()
    assert hashlib.sha256(b"a photo").hexdigest() == job.image_sha256
    assert (submitted.job, submitted.offset) == (job, record.offset)
    assert job.job_id.encode() == record.key
    assert TRACE == traceparent(record.headers)


async def test_an_upload_overwrites_no_photo_of_the_same_job(
    tool_line: ToolLine, client: Client
) -> None:
    for photo in (b"first", b"second"):
        await client.submit(NewJob(photo=photo, user_id="u", job_id="same"))
    first, second = await jobs_of(tool_line)
    assert first.image != second.image
    assert all(text not in first.image_reference.key for text in ("same", "/u/"))


async def test_records_have_the_order_of_the_jobs(tool_line: ToolLine, client: Client) -> None:
    """Also if the photo of the first takes longest."""
    photos = [b"x" * (8_000_000 if number % 5 == 0 else 10) for number in range(12)]
    jobs = [
        NewJob(photo=photo, user_id="u", job_id=f"j:{number}")
        for number, photo in enumerate(photos)
    ]
    submitted = [each.job.job_id async for each in client.submit_many(jobs)]
    assert [f"j:{number}" for number in range(12)] == submitted
    assert submitted == [job.job_id for job in await jobs_of(tool_line)]


async def test_few_jobs_are_taken_before_the_first_record_is_written(
    tool_line: ToolLine, client: Client
) -> None:
    taken: list[int] = []

    def endless() -> Iterator[NewJob]:
        while True:
            taken.append(len(taken))
            yield NewJob(photo=b"x", user_id="u")

    submitting = client.submit_many(endless())
    async with aclosing(submitting):
        for count in range(1, 20):
            await anext(submitting)
            assert len(taken) <= count + 4
    assert len(await jobs_of(tool_line)) <= len(taken)


async def test_photos_that_are_in_s3_are_appended_in_runs(
    tool_line: ToolLine, client: Client
) -> None:
    jobs = [
        NewJob(photo=ImageReference("b", f"k {number}"), user_id="u", job_id=f"j:{number}")
        for number in range(1200)
    ]
    offsets = [each.offset async for each in client.submit_many(jobs)]
    assert list(range(1200)) == offsets
    assert [f"j:{number}" for number in range(1200)] == [
        job.job_id for job in await jobs_of(tool_line)
    ]


async def test_a_job_that_the_line_could_not_read_is_not_sent(
    tool_line: ToolLine, client: Client
) -> None:
    odd = [
        NewJob(photo=b"x", user_id="u", job_id="no spaces"),
        NewJob(photo=b"x", user_id=""),
        NewJob(photo=b"x", user_id="u", metadata={"depth": float("nan")}),
        NewJob(photo=b"x", user_id="u", metadata={"text": "\ud800"}),
        NewJob(photo=b"x", user_id="u", metadata={"text": "x" * 1_100_000}),
        NewJob(photo=b"x", user_id="u", traceparent="00-1-2-3"),
    ]
    for new in odd:
        with pytest.raises(InvalidJobError):
            await client.submit(new)
    assert [] == await tool_line.records(tool_line.kafka.jobs_topic)


async def test_a_file_that_cannot_be_read_is_an_error(
    tool_line: ToolLine, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(PhotoError, match=r"gone\.jpg"):
        await client.submit(NewJob(photo=tmp_path / "gone.jpg", user_id="u"))
    assert [] == await tool_line.records(tool_line.kafka.jobs_topic)


async def test_a_batch_ends_though_one_of_its_files_cannot_be_read(
    tool_line: ToolLine, client: Client, tmp_path: Path
) -> None:
    """The record of the unreadable file is sent, and its job will fail: there is no such photo."""
    photos: list[bytes | Path] = [b"x", tmp_path / "gone.jpg", b"y"]
    jobs = [
        NewJob(photo=photo, user_id="u", batch=Batch(batch_id="b", index=index, size=3))
        for index, photo in enumerate(photos)
    ]
    submitted = [each async for each in client.submit_many(jobs)]
    assert [False, True, False] == [each.problem is not None for each in submitted]
    assert [0, 1, 2] == [job.batch.index for job in await jobs_of(tool_line) if job.batch]


async def test_s3_out_of_reach_is_one_sentence_and_sends_nothing(tool_line: ToolLine) -> None:
    port = ports.choose("nobody", setting="S3_ENDPOINT_URL")
    s3 = tool_line.s3.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{port}"})
    async with Client(tool_line.kafka, s3) as client:
        with pytest.raises(ServiceError, match=f"UPLOAD_BUCKET=mask-uploads.*{port}"):
            await client.submit(NewJob(photo=b"x", user_id="u"))
    assert [] == await tool_line.records(tool_line.kafka.jobs_topic)


async def test_a_missing_topic_is_named(tool_line: ToolLine) -> None:
    kafka = tool_line.kafka.model_copy(update={"jobs_topic": "absent"})
    with pytest.raises(ServiceError, match=r"absent.*maskline topics create"):
        async with Client(kafka, tool_line.s3):
            pass


async def test_kafka_out_of_reach_is_named(tool_line: ToolLine) -> None:
    servers = f"127.0.0.1:{ports.choose('nobody', setting='PORT')}"
    kafka = tool_line.kafka.model_copy(update={"kafka_bootstrap_servers": servers})
    with pytest.raises(ServiceError, match=f"KAFKA_BOOTSTRAP_SERVERS={servers}"):
        async with Client(kafka, tool_line.s3):
            pass


async def test_waiting_ends_with_the_terminal_event_of_each_job(
    tool_line: ToolLine, client: Client
) -> None:
    """Also for a job that the line passed over: a later one has ended, so it never will."""
    submitted = [await client.submit(NewJob(photo=b"x", user_id="u")) for _ in range(3)]
    await tool_line.event("processing", submitted[0].offset)
    await tool_line.event("completed", submitted[0].offset)
    await tool_line.event("failed", submitted[2].offset)
    ended = [each async for each in client.wait(submitted)]
    assert ["completed", "failed", "failed"] == [each.state for each in ended]
    assert [0, 1, 2] == [each.submitted.offset for each in ended]
    assert ended[1].event is None


async def test_cancels_hold_for_the_records_that_there_are(
    tool_line: ToolLine, client: Client
) -> None:
    for job_id in ("a", "b"):
        await tool_line.job(job_id)
    await client.cancel(["b", "a"], reason="changed my mind")
    records = await tool_line.records(tool_line.kafka.control_topic)
    cancels = [Cancel.read(record.value) for record in records]
    assert [("b", 2), ("a", 2)] == [(cancel.job_id, cancel.before_offset) for cancel in cancels]
    assert [b"b", b"a"] == [record.key for record in records]


async def test_cancels_are_written_together_or_not_at_all(
    tool_line: ToolLine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = AIOKafkaProducer.send
    sent: list[bytes] = []

    async def send_one(self: AIOKafkaProducer, *args: object, **options: object) -> object:
        if sent:
            raise TimeoutError
        sent.append(b"")
        return await send(self, *args, **options)

    monkeypatch.setattr(AIOKafkaProducer, "send", send_one)
    with pytest.raises(ServiceError):
        await client.cancel(["a", "b"])
    assert [] == await tool_line.records(tool_line.kafka.control_topic)


def test_settings_name_the_line(tool_line: ToolLine) -> None:
    """The fixture isn't reading another line by mistake."""
    assert KafkaSettings().jobs_topic == tool_line.kafka.jobs_topic != "mask.jobs"
