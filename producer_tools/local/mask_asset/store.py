"""Where the mask-asset service keeps its masks: in S3, or the latest of them in memory."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError


class MaskStoreError(Exception):
    """A mask couldn't be kept; the message says why."""


class MaskStore(Protocol):
    """Keeps PNG files by key."""

    async def put(self, key: str, png: bytes) -> None:
        """Keep `png` under `key`; raises MaskStoreError when that fails."""


class S3Masks:
    """Masks in a bucket, through a few threads that keep their connections.

    Args:
        client: A boto3 S3 client with at least `threads` connections.
        bucket: A bucket that exists.
        threads: How many masks are on their way at once.
    """

    def __init__(self, client: Any, bucket: str, *, threads: int) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")

    async def put(self, key: str, png: bytes) -> None:
        """Keep `png` under `key`; raises MaskStoreError when S3 is down or refuses it."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._put, key, png)

    def _put(self, key: str, png: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=png, ContentType="image/png")
        except (BotoCoreError, ClientError) as error:
            raise MaskStoreError(str(error)) from error


class LatestMasks:
    """The latest `count` masks in memory, for load tests where S3 is not what is measured."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._masks: OrderedDict[str, bytes] = OrderedDict()

    async def put(self, key: str, png: bytes) -> None:
        """Keep `png` under `key`, letting the oldest go."""
        self._masks[key] = png
        while len(self._masks) > self._count:
            self._masks.popitem(last=False)
