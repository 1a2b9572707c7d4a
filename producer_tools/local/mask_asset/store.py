"""Where the mask-asset service stores masks: in S3, or the latest ones in memory."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from schemas.callback import FILE_TYPE


class MaskStoreError(Exception):
    """A mask couldn't be stored. The message states why."""


class MaskStore(Protocol):
    """Stores PNG files by key."""

    async def put(self, key: str, png: bytes) -> None:
        """Store `png` as `key`.

        Raises:
            MaskStoreError: It couldn't be stored.
        """


class S3Masks:
    """Stores masks in a bucket, from a few threads that keep their connections.

    Args:
        client: A boto3 client of S3 with at least `threads` connections.
        bucket: An existing bucket.
        threads: The number of masks that are uploaded at the same time.
    """

    def __init__(self, client: Any, bucket: str, *, threads: int) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")

    async def put(self, key: str, png: bytes) -> None:
        """Store `png` as `key`.

        Raises:
            MaskStoreError: S3 is down or refuses it.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._put, key, png)

    def _put(self, key: str, png: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=png, ContentType=FILE_TYPE)
        except (BotoCoreError, ClientError) as error:
            raise MaskStoreError(str(error)) from error


class LatestMasks:
    """Keeps the latest `count` masks in memory, for load tests that don't measure S3."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._masks: OrderedDict[str, bytes] = OrderedDict()

    async def put(self, key: str, png: bytes) -> None:
        """Store `png` as `key`, and drop the oldest mask if there are too many."""
        self._masks[key] = png
        while len(self._masks) > self._count:
            self._masks.popitem(last=False)
