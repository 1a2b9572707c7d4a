"""The line's consumer group, asked when somebody wants to know."""

import asyncio
import time

from consumer.settings import KafkaSettings
from producer_tools.client.line import group_members
from producer_tools.errors import ServiceError

_FRESH_SECONDS = 1.0
_ASK_SECONDS = 3.0


class Group:
    """How many consumers the line has."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._members: int | None = None
        self._asked_at = -_FRESH_SECONDS
        self._asking = asyncio.Lock()

    def renew(self, settings: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on."""
        self._settings = settings

    async def members(self) -> int | None:
        """Return how many there are, as of a second ago at most. None: Kafka doesn't say."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                try:
                    async with asyncio.timeout(_ASK_SECONDS):
                        self._members = await group_members(self._settings)
                except (ServiceError, TimeoutError):
                    self._members = None
                self._asked_at = time.monotonic()
            return self._members
