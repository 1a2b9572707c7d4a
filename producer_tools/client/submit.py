"""Submitting a photo: into the upload bucket, and a job that names it onto the jobs topic."""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from producer_tools.client.topics import SendJob
from schemas.job import ImageReference, Job


async def submit_photo(
    photo: Path, *, job_id: str, user_id: str, s3: Any, bucket: str, send: SendJob
) -> Job:
    """Upload the photo as it is, then append its job; give the job.

    Args:
        photo: A file; whether it is a picture, the consumer will say.
        job_id: The job's name.
        user_id: Whose photo it is.
        s3: A boto3 client of S3.
        bucket: The upload bucket.
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
