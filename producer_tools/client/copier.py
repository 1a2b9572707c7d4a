"""Appends records to the jobs topic in transactions. Whoever comes next finds all of one, or none.

What a killed copier has still in the air can't arrive once the next one of its transactional id has
started. So what is in the topic then is all that was ever copied.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode
from aiokafka.errors import KafkaError, ProducerFenced

from consumer.kafka.clients import MAX_REQUEST_BYTES
from consumer.kafka.rights import to_transact, to_write
from consumer.kafka.sizes import batch_bytes
from consumer.kafka.topics import max_message_bytes
from consumer.settings import KafkaSettings
from producer_tools.client.line import REACH_SECONDS, open_producer, unreachable
from producer_tools.errors import ServiceError

MOST_RECORDS = 100
MOST_BYTES = 2 * 1024 * 1024
"""A transaction has no more: while it is open, the line can't read what comes behind it."""
_TRANSACTION_TIMEOUT_MS = 10_000
_BATCH_BYTES = 256 * 1024
_ROOM_BYTES = 1024
"""What a batch has besides the parts of its record."""

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append to the jobs topic."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]

    @property
    def size(self) -> int:
        """Bytes of its batch at the most, without the good of compression."""
        return batch_bytes(self.key, self.value, self.headers)


class Copier:
    """The one who appends under a transactional id, as a context manager.

    Raises:
        ServiceError: Kafka can't be reached.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings = settings
        self._transactional_id = transactional_id
        self._takes = (*to_write(settings.jobs_topic), *to_transact(transactional_id))
        self._opened = contextlib.AsyncExitStack()
        self._producer: AIOKafkaProducer
        self._limit = 0

    async def __aenter__(self) -> Self:
        """Fence every earlier copier of this id. Only then is what it has copied final."""
        topic = self._settings.jobs_topic
        try:
            self._limit = (await max_message_bytes(self._settings, [topic]))[topic]
        except (KafkaError, TimeoutError) as error:
            raise unreachable(self._settings, error) from error
        self._producer = await self._opened.enter_async_context(
            open_producer(
                self._settings,
                *self._takes,
                transactional_id=self._transactional_id,
                transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
                max_batch_size=min(_BATCH_BYTES, self._limit),
                max_request_size=MAX_REQUEST_BYTES,
                # A record that only fitted the topic compressed must fit it again.
                compression_type="gzip",
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def fits(self, record: NewRecord) -> bool:
        """Return whether the topic takes the record."""
        if record.size <= self._limit:
            return True
        parts = [record.key or b"", record.value or b""]
        for name, value in record.headers:
            parts += [name.encode(), value or b""]
        packed = await asyncio.to_thread(gzip_encode, b"".join(parts))
        return len(packed) + _ROOM_BYTES <= self._limit

    async def append(self, records: Sequence[NewRecord]) -> list[int]:
        """Append all of them, in this order, or none. Return the offset of each.

        Raises:
            ServiceError: Another copier has begun under the same id, or Kafka doesn't answer.
                Then the next copier will find all of them in the topic, or none.
        """
        try:
            async with asyncio.timeout(REACH_SECONDS), self._producer.transaction():
                return await self._send(records)
        except ProducerFenced as error:
            raise ServiceError(
                f"Another process has begun to do the same ({self._transactional_id}), and goes on"
                " in place of this one"
            ) from error
        except (KafkaError, TimeoutError, AssertionError) as error:
            raise unreachable(self._settings, error, *self._takes) from error

    async def _send(self, records: Sequence[NewRecord]) -> list[int]:
        topic, rest = self._settings.jobs_topic, list(records)
        offsets: list[int] = []
        while rest:
            # By way of batches, because `send` refuses a record with neither key nor value.
            batch: Any = self._producer.create_batch()
            count = 0
            while rest and self._add(batch, rest[0]):
                del rest[0]
                count += 1
            sent = await (await self._producer.send_batch(batch, topic, partition=0))
            # Between two batches there may be another producer's records, within one there aren't.
            offsets += range(sent.offset, sent.offset + count)
        return offsets

    def _add(self, batch: Any, record: NewRecord) -> bool:
        """Add it unless the batch is full. Its first record is taken whatever its size."""
        added = batch.append(
            key=record.key, value=record.value, timestamp=None, headers=list(record.headers)
        )
        return added is not None
