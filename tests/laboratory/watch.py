"""Eyes on a run: terminal events as they become visible, the committed offset as it moves."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.laboratory.evidence import Record, committed_offset, read_event
from tests.support.consumer_process import until

SAMPLE_SECONDS = 0.2
ASK_SECONDS = 5.0


class Watch:
    """Reads the status topic as a read_committed subscriber does, whatever befalls the broker.

    Attributes:
        ended: When each offset's terminal event was first seen, in Unix seconds.
        samples: The group's committed offset, each time that it had moved.
        progressed_at: When a record was last seen to end, by the monotonic clock.
    """

    def __init__(self, bootstrap: str, *, jobs: str, status: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._jobs = jobs
        self._status = TopicPartition(status, 0)
        self._group = group
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.samples: list[int] = []
        self.ended: dict[int, float] = {}
        self.progressed_at = time.monotonic()

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
        return len(self.ended)

    async def reaches(self, count: int, *, seconds: float) -> float:
        """Wait until `count` records are settled."""
        what = f"{count} records are settled ({self.settled} were)"
        for task in self._tasks:
            if task.done():
                task.result()
        return await until(lambda: self.settled >= count, what, seconds=seconds)

    async def _follow(self) -> None:
        """Read on after whatever fails: the eyes must outlast the broker."""
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            try:
                with contextlib.suppress(KafkaError, OSError):
                    await consumer.start()
                    consumer.assign([self._status])
                    consumer.seek(self._status, self._next)
                    while True:
                        await self._read(consumer)
            finally:
                await consumer.stop()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        for batch in (await consumer.getmany(self._status, timeout_ms=100)).values():
            for record in batch:
                self._next = record.offset + 1
                event = read_event(Record(record.offset, record.key, record.value))
                if event.terminal and event.offset not in self.ended:
                    self.ended[event.offset] = time.time()
                    self.progressed_at = time.monotonic()

    async def _sample(self) -> None:
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            try:
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    async with asyncio.timeout(ASK_SECONDS):
                        await admin.start()
                    while True:
                        await self._note(admin)
            finally:
                await admin.close()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _note(self, admin: AIOKafkaAdminClient) -> None:
        async with asyncio.timeout(ASK_SECONDS):
            offset = await committed_offset(admin, self._group, self._jobs)
        if offset is not None and self.samples[-1:] != [offset]:
            self.samples.append(offset)
        await asyncio.sleep(SAMPLE_SECONDS)
