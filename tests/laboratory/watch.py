"""A run as it goes on: terminal events as they become visible, the committed offset as it moves."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from tests.laboratory.evidence import read_event
from tests.support.consumer_process import until
from tests.support.line_names import LineNames
from tests.support.topics import administration, committed_offset, following

SAMPLE_SECONDS = 0.2
ASK_SECONDS = 5.0


class Watch:
    """Reads the status topic as a read_committed subscriber does, whatever befalls the broker."""

    def __init__(self, bootstrap: str, line: LineNames) -> None:
        self._bootstrap = bootstrap
        self._line = line
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.samples: list[int] = []
        """The group's committed offset, each time that it had moved."""
        self.ended: dict[int, float] = {}
        """When each offset's terminal event was first seen, in Unix seconds."""
        self.settled_before = 0
        """Records that were settled of jobs topics that are gone."""
        self.progressed_at = time.monotonic()
        """When a record was last seen to end, by the monotonic clock."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._sample())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def settled(self) -> int:
        """Records whose terminal event has been seen."""
        return self.settled_before + len(self.ended)

    def begin_anew(self) -> None:
        """Forget the offsets that were seen: from now on they mean other records."""
        self.settled_before += len(self.ended)
        self.ended, self.samples = {}, []

    async def reaches(self, count: int, *, seconds: float) -> float:
        """Wait until `count` records are settled."""
        what = f"{count} records are settled ({self.settled} were)"
        for task in self._tasks:
            if task.done():
                task.result()
        return await until(lambda: self.settled >= count, what, seconds=seconds)

    async def _follow(self) -> None:
        """Read on after whatever fails: the watch must outlast the broker."""
        while True:
            with contextlib.suppress(KafkaError, OSError):
                async with following(
                    self._bootstrap, self._line.status, start=self._next
                ) as records:
                    async for record in records:
                        self._next = record.offset + 1
                        event = read_event(record)
                        if event.terminal and event.offset not in self.ended:
                            self.ended[event.offset] = time.time()
                            self.progressed_at = time.monotonic()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self) -> None:
        while True:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with administration(self._bootstrap) as admin:
                    while True:
                        async with asyncio.timeout(ASK_SECONDS):
                            offset = await committed_offset(
                                admin, self._line.group, self._line.jobs
                            )
                        if offset is not None and self.samples[-1:] != [offset]:
                            self.samples.append(offset)
                        await asyncio.sleep(SAMPLE_SECONDS)
            await asyncio.sleep(SAMPLE_SECONDS)
