"""Photos from S3, fetched in threads."""

import asyncio
import hashlib
import posixpath
from contextlib import AbstractContextManager
from functools import partial
from typing import Self

from botocore.credentials import ReadOnlyCredentials

from consumer.errors import JobFailed, Unavailable
from consumer.s3.answers import KeysRefused
from consumer.s3.connections import Deadline
from consumer.s3.credentials import Credentials
from consumer.s3.daemon_threads import DaemonThreads
from consumer.s3.objects import Objects, overdue
from consumer.s3.served import Served
from consumer.settings import S3Settings
from schemas.job import ImageReference

_LAST_RESORT_SECONDS = 1.0
"""A thread sees the deadline by itself, unless it looks up a name: that can't be broken off."""


class Images:
    """Fetches photos from the buckets that may be read, so many at once, none too large."""

    def __init__(self, settings: S3Settings, *, max_bytes: int, threads: int) -> None:
        self._settings = settings
        self._max_bytes = max_bytes
        self._connections = threads
        self._threads = DaemonThreads("images")
        self._credentials = Credentials(settings, threads=self._threads)
        self._permits = asyncio.Semaphore(threads)
        self._served = Served()
        self._objects: Objects

    async def __aenter__(self) -> Self:
        make = partial(
            Objects, self._settings, max_bytes=self._max_bytes, connections=self._connections
        )
        self._objects = await self._threads.run(make)
        await self._credentials.check()
        return self

    async def __aexit__(self, *_: object) -> None:
        # Cancelled fetches may still wait for S3. Their daemon threads don't delay the exit.
        await self._credentials.close()
        await self._threads.run(self._objects.close)
        self._threads.close()

    def renew(self, settings: S3Settings) -> None:
        """Take these settings' keys from the next fetch on."""
        self._credentials.renew(settings)

    def wanted(self, reference: ImageReference) -> AbstractContextManager[None]:
        """Note that a job wants this photo, while the block lasts: see `serves_others`."""
        return self._served.wanted(reference)

    async def fetch(self, reference: ImageReference, *, sha256: str | None = None) -> bytes:
        """Read one photo, trying once; `sha256` is checked when it is given, in hex.

        Raises:
            JobFailed: `image_not_found`, `image_forbidden`, `image_too_large` or
                `checksum_mismatch`.
            Unavailable: `storage_unavailable`: S3 is down, or refuses our own credentials.
                `ObjectUnavailable` where that may be so of this photo only.
        """
        check_allowed(reference, self._settings.s3_allowed_buckets)
        photo = await self._get(reference, sha256=sha256)
        self._served.note(reference, size=len(photo))
        return photo

    async def has(self, reference: ImageReference) -> bool:
        """Whether S3 has the object.

        Raises:
            JobFailed: `image_forbidden`: S3 doesn't say.
            Unavailable: S3 is down, or refuses our own credentials.
        """
        try:
            await self._get(reference, first_bytes=1)
        except JobFailed as error:
            if error.code != "image_not_found":
                raise
            return False
        return True

    async def serves_others(self, than: ImageReference, *, since: float) -> bool:
        """Whether S3 has given another object since then (`time.monotonic`), or gives one now.

        Where other jobs wait for objects, one that was fetched lately is read as they are; where
        none does, as a range.
        """
        alone = self._served.is_wanted_alone(than)
        for fetched in self._served.others(than):
            if fetched.at > since:
                return True
            try:
                await self._get(fetched.reference, first_bytes=fetched.size if alone else None)
            except JobFailed:
                self._served.forget(fetched.reference)  # gone, which proves nothing
            except Unavailable:
                return False
            else:
                return True
        return False

    async def _get(
        self,
        reference: ImageReference,
        *,
        sha256: str | None = None,
        first_bytes: int | None = None,
    ) -> bytes:
        seconds = self._settings.fetch_deadline_seconds
        async with self._permits:
            deadline = Deadline(seconds)
            keys = await self._credentials.current(timeout=seconds)
            read = partial(self._read, reference, sha256, keys, deadline, first_bytes)
            try:
                async with asyncio.timeout(seconds + _LAST_RESORT_SECONDS):
                    return await self._threads.run(read)
            except TimeoutError:
                raise overdue(seconds) from None
            except KeysRefused:
                self._credentials.refused(keys)
                raise
            finally:
                deadline.expire()

    def _read(
        self,
        reference: ImageReference,
        sha256: str | None,
        keys: ReadOnlyCredentials,
        deadline: Deadline,
        first_bytes: int | None,
    ) -> bytes:
        """Read an object, in a thread."""
        photo = self._objects.read(reference, keys=keys, deadline=deadline, first_bytes=first_bytes)
        if sha256 is not None and hashlib.sha256(photo).hexdigest() != sha256.lower():
            raise JobFailed(
                "checksum_mismatch", f"{reference} has not the SHA-256 {sha256}", stage="fetch"
            )
        return photo


def check_allowed(reference: ImageReference, buckets: tuple[str, ...]) -> None:
    """Let a photo be read whose bucket, or `bucket/prefix`, is listed, or any where none is.

    A prefix ends at a slash: `uploads/a` lets `uploads/a/1.jpg` be read and `uploads/ab/1.jpg` not.
    To S3 a step `..` is a name like any other. A store that keeps objects as files may take it, so
    it may not lead out of the list either.

    Raises:
        JobFailed: `image_forbidden`, or `image_not_found` where no bucket can have the name.
    """
    if reference.bucket in (".", ".."):
        raise JobFailed("image_not_found", f"{reference}: no bucket has this name", stage="fetch")
    path = f"{reference.bucket}/{reference.key}"
    if not _listed(path, buckets):
        why = "is not in S3_ALLOWED_BUCKETS"
    elif not _listed(posixpath.normpath(path), buckets):
        why = "has a step .. that leads out of S3_ALLOWED_BUCKETS"
    else:
        return
    raise JobFailed("image_forbidden", f"{reference} {why}", stage="fetch")


def _listed(path: str, buckets: tuple[str, ...]) -> bool:
    return not buckets or any(
        path == entry.rstrip("/") or path.startswith(f"{entry.rstrip('/')}/") for entry in buckets
    )
