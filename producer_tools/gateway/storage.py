"""Whether S3 takes uploads, looked at now and then, so that nobody waits for one that doesn't."""

import asyncio
from typing import NoReturn

import structlog

from producer_tools.client.uploads import Uploads
from producer_tools.errors import ServiceError
from producer_tools.gateway.refusal import unavailable

log = structlog.get_logger()

_LOOK_SECONDS = 5.0
_AGAIN_SECONDS = 1.0


class Storage:
    """The bucket for uploads."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self.problem: str | None = "S3 has not been asked yet"

    async def run(self) -> NoReturn:
        """Look again and again, until this is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS if self.problem is None else _AGAIN_SECONDS)

    async def look(self) -> None:
        """Ask S3 for the bucket."""
        try:
            await self._uploads.check()
        except ServiceError as error:
            self.note(error)
        else:
            self.note(None)

    def note(self, error: ServiceError | None) -> None:
        """Note what an attempt has shown."""
        before, self.problem = self.problem, None if error is None else str(error)
        if (self.problem is None) != (before is None):
            log.info("storage.changed", problem=self.problem)

    def check(self) -> None:
        """Return if uploads can be stored, as far as is known.

        Raises:
            Refused: 503, they can't.
        """
        if self.problem is not None:
            raise unavailable("Photos can't be stored now. Please try again later.")
