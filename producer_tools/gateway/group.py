"""The line's consumer group and whether the line halted, asked for now and then."""

import asyncio
from typing import NoReturn

from consumer.settings import KafkaSettings
from producer_tools.client.line import group_members, halted_behind
from producer_tools.errors import ServiceError

_ASK_SECONDS = 5.0


class Group:
    """How many consumers the line has."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self.members: int | None = None
        """As it was lately. None: that isn't known."""
        self.halted_after: int | None = None
        """The last settled record of a line that halted. None: it hasn't, as far as is known."""

    async def run(self) -> NoReturn:
        """Ask again and again, until this is cancelled."""
        while True:
            try:
                self.members = await group_members(self._settings)
                self.halted_after = await halted_behind(self._settings)
            except ServiceError:
                self.members = None
            await asyncio.sleep(_ASK_SECONDS)
