"""Whether the line halted, asked when somebody wants to know."""

import asyncio
import time

from consumer.settings import KafkaSettings
from producer_tools.client.line import halted_behind
from producer_tools.errors import ServiceError

_FRESH_SECONDS = 5.0
_ASK_SECONDS = 3.0


class Halts:
    """A line's halt for dead letters in a row."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._after: int | None = None
        self._asked_at = -_FRESH_SECONDS
        self._asking = asyncio.Lock()

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on."""
        self._settings = settings

    async def after(self) -> int | None:
        """Return the last settled record, as of 5 s ago at most. None: it hasn't halted.

        While Kafka doesn't say, that is as it was.
        """
        async with self._asking:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                try:
                    async with asyncio.timeout(_ASK_SECONDS):
                        self._after = await halted_behind(self._settings)
                except (ServiceError, TimeoutError):
                    pass  # the view says that Kafka is away
                self._asked_at = time.monotonic()
            return self._after
