"""A job's photo: waited for while S3 is in trouble, given up where the trouble is its own."""

import time
from functools import partial

from consumer.errors import JobFailed, Unavailable
from consumer.job.holds import Holds, OnRetry
from consumer.s3.answers import ObjectUnavailable
from consumer.s3.fetch import Images
from schemas.job import ImageReference

LEAST_ATTEMPTS = 2
"""One failure may be anybody's."""


async def fetch_photo(
    reference: ImageReference,
    *,
    sha256: str | None,
    images: Images,
    holds: Holds,
    max_attempts: int,
    on_retry: OnRetry,
) -> bytes:
    """Fetch the photo, for as long as it takes.

    Raises:
        JobFailed: what is wrong with it, or `storage_unavailable` after `max_attempts` failed
            fetches of it between which S3 gave others.
    """
    fetches = PhotoFetches(reference, images=images, max_attempts=max_attempts)
    with images.wanted(reference):
        return await holds.until_available(partial(fetches.once, sha256), on_retry=on_retry)


class PhotoFetches:
    """The fetches of one photo, and how many of them speak against it.

    A fetch that fails speaks against the photo where S3 has given another one since the failure
    before it. Whatever happens while S3 is down or refuses us says nothing.
    """

    def __init__(self, reference: ImageReference, *, images: Images, max_attempts: int) -> None:
        self._reference = reference
        self._images = images
        self._limit = max(LEAST_ATTEMPTS, max_attempts)
        self._failures = 0
        self._failed_at = 0.0

    async def once(self, sha256: str | None) -> bytes:
        """Fetch once.

        Raises:
            JobFailed: what is wrong with the photo, or `storage_unavailable`.
            Unavailable: nothing is known yet.
        """
        if self._failures and not await self._images.serves_others(
            self._reference, since=self._failed_at
        ):
            self._failures = 0
        try:
            return await self._images.fetch(self._reference, sha256=sha256)
        except ObjectUnavailable as error:
            self._failures += 1
            self._failed_at = time.monotonic()
            if self._failures < self._limit:
                raise
            raise JobFailed(
                "storage_unavailable",
                f"{self._reference} failed {self._failures} times (MAX_ATTEMPTS) while S3 gave"
                f" other objects: {error}",
                stage="fetch",
            ) from error
        except Unavailable:
            self._failures = 0
            raise
