"""What most would write first: take eight records, work on them side by side, commit, again.

At least once, no order within the eight, no status events, no dead letters: less than our line
does, for comparison. Run by the benchmark as `python -m tests.benchmarks.plain_loop`, with the
consumer's settings in its environment.
"""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
from aiokafka import AIOKafkaConsumer
from botocore.config import Config

from consumer.kafka.connection import connection_options
from consumer.settings import Settings
from segmentation.deadline import Deadline
from segmentation.segment import segment
from tests.benchmarks.one_process import default_model, image_limits

GATHERED = 8


async def serve() -> None:
    """Take jobs until terminated."""
    settings = Settings()
    model = default_model(settings)
    limits = image_limits(settings.images)
    workers = ThreadPoolExecutor(settings.line.worker_count)
    s3 = boto3.client(
        "s3",
        endpoint_url=settings.s3.s3_endpoint_url,
        region_name=settings.s3.s3_region,
        config=Config(max_pool_connections=GATHERED, s3={"addressing_style": "path"}),
    )
    secret = settings.callback.mask_component_secret.get_secret_value()
    consumer = AIOKafkaConsumer(
        settings.kafka.jobs_topic,
        group_id=settings.kafka.consumer_group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **connection_options(settings.kafka),
    )

    def fetch(image: str) -> bytes:
        where = urlsplit(image)
        found = s3.get_object(Bucket=where.netloc, Key=where.path[1:])
        photo: bytes = found["Body"].read()
        return photo

    def work(photo: bytes) -> Any:
        return segment(photo, model=model, outputs=None, limits=limits, deadline=Deadline(600))

    async def one(value: bytes) -> None:
        job = json.loads(value)
        photo = await asyncio.to_thread(fetch, job["image"])
        masks = await asyncio.get_running_loop().run_in_executor(workers, work, photo)
        answer = await http.post(
            settings.callback.mask_asset_url,
            headers={"X-Internal-Auth": secret, "Idempotency-Key": job["job_id"]},
            data={"user_id": job["user_id"], "job_id": job["job_id"], "provider": "qwen"},
            files={name: (f"{name}.png", png, "image/png") for name, png in masks.files.items()},
        )
        answer.raise_for_status()

    async with httpx.AsyncClient() as http, consumer:
        while True:
            taken = await consumer.getmany(timeout_ms=200, max_records=GATHERED)
            records = [record for batch in taken.values() for record in batch]
            await asyncio.gather(*(one(record.value) for record in records))
            if records:
                await consumer.commit()


if __name__ == "__main__":
    asyncio.run(serve())
