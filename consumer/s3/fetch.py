"""Photos from S3, fetched in threads."""

import asyncio
import hashlib
from contextlib import closing
from functools import partial
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from consumer.errors import JobFailed, StartError
from consumer.s3.client import make_client
from consumer.s3.daemon_threads import DaemonThreads
from consumer.s3.faults import fault
from consumer.settings import S3Settings
from schemas.job import ImageReference


class Images:
    """Fetches photos from the buckets that may be read, so many at once, none too large."""

    def __init__(self, settings: S3Settings, *, max_bytes: int, threads: int) -> None:
        self._settings = settings
        self._max_bytes = max_bytes
        self._connections = threads
        self._threads = DaemonThreads("images")
        self._slots = asyncio.Semaphore(threads)
        self._client: Any = None

    async def __aenter__(self) -> Self:
        try:
            self._client = await self._threads.run(
                partial(make_client, self._settings, connections=self._connections)
            )
        except (BotoCoreError, ValueError) as error:
            raise StartError(
                f"S3_ENDPOINT_URL, S3_REGION or the AWS profile can't be used: {error}",
                exit_code=2,
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        # Cancelled fetches may still wait for S3. Their daemon threads don't delay the exit.
        await self._threads.run(self._client.close)
        self._threads.close()

    async def fetch(self, reference: ImageReference, *, sha256: str | None = None) -> bytes:
        """Read one photo, trying once; `sha256` is checked when it is given, in hex.

        Raises:
            JobFailed: `image_not_found`, `image_forbidden`, `image_too_large` or
                `checksum_mismatch`.
            Unavailable: `storage_unavailable`: S3 is down, or refuses our own credentials.
        """
        if not allowed(reference, self._settings.s3_allowed_buckets):
            raise JobFailed(
                "image_forbidden", f"{reference} is not in S3_ALLOWED_BUCKETS", stage="fetch"
            )
        async with self._slots:
            return await self._threads.run(partial(self._read, reference, sha256))

    def _read(self, reference: ImageReference, sha256: str | None) -> bytes:
        """Read the photo, in a thread."""
        version = {"VersionId": reference.version_id} if reference.version_id else {}
        try:
            found = self._client.get_object(Bucket=reference.bucket, Key=reference.key, **version)
            # Not `with body`: that would hand out urllib3's stream, with errors of its own.
            with closing(found["Body"]) as body:
                self._check_size(found.get("ContentLength", 0), reference)
                photo: bytes = body.read(self._max_bytes + 1)
                # Only the empty read at the end makes botocore compare with the promised length.
                body.read(1)
        except (BotoCoreError, ClientError, HTTPError) as error:
            raise fault(error, reference) from error
        self._check_size(len(photo), reference)
        if sha256 is not None and hashlib.sha256(photo).hexdigest() != sha256.lower():
            raise JobFailed(
                "checksum_mismatch", f"{reference} has not the SHA-256 {sha256}", stage="fetch"
            )
        return photo

    def _check_size(self, size: int, reference: ImageReference) -> None:
        if size > self._max_bytes:
            raise JobFailed(
                "image_too_large",
                f"{reference} has {size} bytes or more, MAX_IMAGE_BYTES is {self._max_bytes}",
                stage="fetch",
            )


def allowed(reference: ImageReference, buckets: tuple[str, ...]) -> bool:
    """Whether a photo may be read: its bucket, or `bucket/prefix`, is listed, or none is.

    A prefix ends at a slash: `uploads/a` lets `uploads/a/1.jpg` be read and `uploads/ab/1.jpg`
    not. A name with `.` or `..` for a step is never read, since a proxy before S3 may take the
    step, into another bucket.
    """
    path = f"{reference.bucket}/{reference.key}"
    if {".", ".."}.intersection(path.split("/")):
        return False
    return not buckets or any(
        path == entry.rstrip("/") or path.startswith(f"{entry.rstrip('/')}/") for entry in buckets
    )
