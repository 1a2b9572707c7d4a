"""Turns: jobs begin a stage in the order in which they drew their turns."""

import asyncio
from collections import OrderedDict


class Turn:
    """One place in the queue."""

    def __init__(self, turns: "Turns") -> None:
        self._turns = turns
        self._called = asyncio.Event()

    async def come(self) -> None:
        """Wait until every turn drawn before this one has been passed on."""
        await self._called.wait()

    def pass_on(self) -> None:
        """Let the next turn come. A second call has no effect."""
        self._turns.remove(self)

    def call(self) -> None:
        """Wake the job that waits for this turn."""
        self._called.set()


class Turns:
    """A queue that may be left from any place, and is served from its head."""

    def __init__(self) -> None:
        self._queue: OrderedDict[Turn, None] = OrderedDict()

    def draw(self) -> Turn:
        """Take the last place."""
        turn = Turn(self)
        self._queue[turn] = None
        self._call_head()
        return turn

    def remove(self, turn: Turn) -> None:
        """Take `turn` out of the queue, wherever it stands."""
        if self._queue.pop(turn, turn) is None:
            self._call_head()

    def _call_head(self) -> None:
        head = next(iter(self._queue), None)
        if head is not None:
            head.call()
