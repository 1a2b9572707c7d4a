"""Submits jobs: uploads a photo to S3, and appends its job to the jobs topic."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.job import ImageReference, Job

SendJob = Callable[[Job], Awaitable[int]]
"""Appends a job to the jobs topic, and returns the offset of its record."""


@asynccontextmanager
async def job_sender(connection: Mapping[str, Any], *, topic: str) -> AsyncIterator[SendJob]:
    """Connect to Kafka, and yield a function that appends a job to the jobs topic.

    The function returns when all replicas have the record. It raises aiokafka's KafkaError.

    Args:
        connection: Keyword arguments for every aiokafka client.
        topic: The jobs topic.
    """
    async with AIOKafkaProducer(enable_idempotence=True, **connection) as producer:

        async def send(job: Job) -> int:
            record = await producer.send_and_wait(topic, key=job.job_id.encode(), value=job.write())
            offset: int = record.offset
            return offset

        yield send


async def submit_photo(
    photo: Path, *, job_id: str, user_id: str, s3: Any, bucket: str, send: SendJob
) -> Job:
    """Upload a photo, then append its job. Return the job.

    Args:
        photo: Any file. The consumer checks whether it is a photo.
        job_id: The job's name.
        user_id: The user whose photo it is.
        s3: A boto3 client of S3.
        bucket: The bucket for uploads.
        send: Appends a job to the jobs topic.

    Raises:
        OSError: The file can't be read.
    """
    content = await asyncio.to_thread(photo.read_bytes)
    key = f"{user_id}/{job_id}"
    await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=key, Body=content)
    job = Job(
        job_id=job_id,
        user_id=user_id,
        image=str(ImageReference(bucket, key)),
        image_sha256=hashlib.sha256(content).hexdigest(),
        submitted_at=datetime.now(UTC),
    )
    await send(job)
    return job
