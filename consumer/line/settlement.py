"""Settlement: terminal events, dead letters and the offset, together or not at all.

One transactional producer for the partition's lane. Its transactional id is the partition's, so
that the next owner's InitProducerId fences this one: what a former owner has in the air can't
become visible (KIP-98).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata

from consumer.errors import LaneHalted, LaneLost
from consumer.job.events import message, terminal_event
from consumer.job.outcome import Failure, Outcome
from consumer.job.record import Record
from consumer.kafka.clients import producer_up, start_producer, stop_producer
from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from schemas.dead_letter import dead_letter_headers

TRANSACTION_TIMEOUT_MS = 10_000
# The broker refuses a transaction's first request while the last one's markers are being written,
# and its first batch until it has asked its coordinator. Both are over within milliseconds, for
# which aiokafka would wait 20 and 100 (docs/adr/0016-short-waits-between-transactions.md).
RETRY_BACKOFF_MS = 5
SETTLE_SECONDS = 15.0
START_SECONDS = 30.0
# Above any dead letter: `max.message.bytes` of the topic is the limit that counts.
MAX_REQUEST_BYTES = 64 * 1024 * 1024


class Settlement:
    """Makes batches of outcomes durable for one partition of the jobs topic."""

    def __init__(self, settings: KafkaSettings, partition: TopicPartition) -> None:
        self._settings = settings
        self._partition = partition
        topic, number = partition
        self._producer = AIOKafkaProducer(
            transactional_id=f"{settings.consumer_group}-{topic}-{number}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_request_size=MAX_REQUEST_BYTES,
            # A record that only fitted its topic compressed must fit into the dead letters', too.
            compression_type="gzip",
            **connection_options(settings),
        )

    async def __aenter__(self) -> Self:
        """Fence every earlier owner of the partition; only then is its committed offset final."""
        sender.BACKOFF_OVERRIDE = RETRY_BACKOFF_MS / 1000
        await start_producer(self._producer, "transactional producer", seconds=START_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_producer(self._producer)

    @property
    def up(self) -> bool:
        """Whether the producer is at work."""
        return producer_up(self._producer)

    async def settle(self, batch: Sequence[Outcome], *, bookmark: str) -> None:
        """Commit the batch's terminal events, its dead letters and the offset after it.

        `bookmark` goes with the offset: where in the status topic the ledger goes on.

        Raises:
            LaneLost: fenced, or the broker didn't answer; whether it is committed, the next
                owner will read from the broker.
            LaneHalted: a dead letter doesn't fit its topic.
        """
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._transact(batch, bookmark)
        except MessageSizeTooLargeError as error:
            await self._abort()
            raise LaneHalted(
                f"a dead letter between offsets {batch[0].record.offset} and"
                f" {batch[-1].record.offset} is larger than topic"
                f" {self._settings.dead_letter_topic} takes: raise its max.message.bytes to"
                " 64 KiB above the jobs topic's (`maskline topics check`), then restart"
            ) from error
        except (KafkaError, TimeoutError, AssertionError) as error:
            raise LaneLost(f"a batch could not be settled: {error!r}") from error

    async def _transact(self, batch: Sequence[Outcome], bookmark: str) -> None:
        group = self._settings.consumer_group
        offsets = {self._partition: OffsetAndMetadata(batch[-1].record.offset + 1, bookmark)}
        await self._producer.begin_transaction()
        deliveries = [
            await self._producer.send(
                self._settings.status_topic,
                partition=0,
                **message(terminal_event(outcome), outcome.record, group=group),
            )
            for outcome in batch
        ]
        deliveries += [
            await self._send_dead_letter(outcome.record, outcome.failure)
            for outcome in batch
            if outcome.failure
        ]
        await asyncio.gather(
            self._producer.send_offsets_to_transaction(offsets, group), *deliveries
        )
        await self._producer.commit_transaction()

    async def _abort(self) -> None:
        """End the transaction now: while it is open, it holds back every subscriber."""
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._producer.abort_transaction()

    async def _send_dead_letter(self, record: Record, failure: Failure) -> asyncio.Future[Any]:
        """Send the record as it arrived.

        By way of a batch, because `send` refuses a record with neither key nor value.
        """
        headers = dead_letter_headers(
            record.headers,
            source=record.source,
            error=failure.error,
            exception=failure.exception,
            failed_at=datetime.now(UTC),
        )
        produced = self._producer.create_batch()
        # The first record of a producer's batch is taken whatever its size.
        produced.append(key=record.key, value=record.value, timestamp=None, headers=headers)
        delivery: asyncio.Future[Any] = await self._producer.send_batch(
            produced, self._settings.dead_letter_topic, partition=0
        )
        return delivery
