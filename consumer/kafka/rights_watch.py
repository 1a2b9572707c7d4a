"""Asks Kafka again and again what we may do: a right can be taken away while we run."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog
from aiokafka.errors import KafkaError

from consumer.errors import StartError
from consumer.kafka.authorization import asking, missing_rights
from consumer.kafka.rights import Right, lacking
from consumer.settings import KafkaSettings

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""So often we ask: a right that is missing must be known within the session's time-out."""
ANSWER_SECONDS = 5.0
AGAIN_SECONDS = 2.0


class RightsWatch:
    """Knows which of the rights that we need are missing, as of 2 s ago."""

    def __init__(
        self, settings: KafkaSettings, rights: Callable[[KafkaSettings], Sequence[Right]]
    ) -> None:
        self._settings = settings
        self._rights = rights
        self._missing: tuple[Right, ...] = ()
        self._renewed = asyncio.Event()
        self._restored = asyncio.Event()

    @property
    def missing(self) -> str | None:
        """Which needed rights are missing, and what grants them; None where none is known to be."""
        return lacking(self._missing, self._settings) or None

    def renew(self, settings: KafkaSettings) -> None:
        """Ask by these settings from now on."""
        self._settings = settings
        self._renewed.set()

    async def restored(self) -> None:
        """Wait until a right that was missing is granted."""
        self._restored.clear()
        await self._restored.wait()

    async def run(self) -> NoReturn:
        """Ask until this is cancelled. A broker that doesn't answer changes nothing."""
        while True:
            self._renewed.clear()
            try:
                await self._ask()
            except (KafkaError, TimeoutError, OSError, StartError) as error:
                log.debug("rights.unknown", reason=repr(error))
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self) -> None:
        """Ask over one connection, until the settings are renewed."""
        settings = self._settings
        rights = [right for right in self._rights(settings) if right.needed]
        async with asking(settings) as client:
            while not self._renewed.is_set():
                async with asyncio.timeout(ANSWER_SECONDS):
                    missing = await missing_rights(client, rights)
                self._note(missing)
                await self._pause()

    async def _pause(self) -> None:
        waiting = asyncio.create_task(self._renewed.wait())
        await asyncio.wait([waiting], timeout=LOOK_SECONDS)
        waiting.cancel()

    def _note(self, missing: Sequence[Right]) -> None:
        before, self._missing = self._missing, tuple(missing)
        if before == self._missing:
            return
        if set(before) - set(missing):
            self._restored.set()
        if missing:
            log.warning("rights.missing", reason=self.missing)
        else:
            log.info("rights.complete")
