"""Work for Kafka that is begun anew when its password or its certificates are others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Renewal:
    """Lets whoever works by old settings begin again by the new ones."""

    def __init__(self) -> None:
        self._working: set[asyncio.Timeout] = set()

    def announce(self) -> None:
        """End every block that is under way."""
        working, self._working = self._working, set()
        for each in working:
            each.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def ends(self) -> AsyncIterator[None]:
        """Run the block. `announce` cuts it off, and what follows the block comes next."""
        try:
            async with asyncio.timeout(None) as working:
                self._working.add(working)
                try:
                    yield
                finally:
                    self._working.discard(working)
        except TimeoutError:
            if not working.expired():
                raise
