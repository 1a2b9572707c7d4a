"""The line's consumer group, asked for now and then."""

import asyncio
from typing import NoReturn

from consumer.settings import KafkaSettings
from producer_tools.client.line import group_members
from producer_tools.errors import ServiceError

_ASK_SECONDS = 5.0


class Group:
    """How many consumers the line has."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self.members: int | None = None
        """As it was lately. None: that isn't known."""

    async def run(self) -> NoReturn:
        """Ask again and again, until this is cancelled."""
        while True:
            try:
                self.members = await group_members(self._settings)
            except ServiceError:
                self.members = None
            await asyncio.sleep(_ASK_SECONDS)
