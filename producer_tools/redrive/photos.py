"""Asks S3 which photos are gone, so that nobody waits for jobs that can only fail."""

import asyncio
from collections.abc import Iterable

from consumer.errors import JobFailed, StartError, Unavailable
from consumer.s3.fetch import Images
from consumer.settings import S3Settings
from schemas.job import ImageReference

_AT_ONCE = 16
_SECONDS = 10.0
"""For one photo. S3 that takes longer is not asked again."""


class Photos:
    """Knows of each photo whether S3 still has it."""

    def __init__(self) -> None:
        self.unasked: str | None = None
        """Why S3 couldn't be asked, if it couldn't. Then photos count as there."""

    async def gone(
        self, settings: S3Settings, references: Iterable[ImageReference]
    ) -> set[ImageReference]:
        """Return those that S3 no longer has."""
        distinct = list(dict.fromkeys(references))
        found: set[ImageReference] = set()
        if not distinct:
            return found
        try:
            async with Images(settings, max_bytes=1024, threads=_AT_ONCE) as images:
                for start in range(0, len(distinct), _AT_ONCE):
                    part = distinct[start : start + _AT_ONCE]
                    answers = await asyncio.gather(*(self._has(images, each) for each in part))
                    found |= {each for each, has in zip(part, answers, strict=True) if not has}
                    if self.unasked is not None:
                        break
        except (StartError, Unavailable) as error:
            self.unasked = str(error)
        return found

    async def _has(self, images: Images, reference: ImageReference) -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                return await images.has(reference)
        except JobFailed:
            return True  # S3 doesn't say: the line will
        except (Unavailable, TimeoutError) as error:
            self.unasked = str(error) or f"no answer within {_SECONDS:g} s"
            return True
