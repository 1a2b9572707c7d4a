"""Settlement: terminal events, dead letters and the offset, together or not at all.

One transactional producer for the partition's lane. Its transactional id is the partition's, so
that the next owner's InitProducerId fences this one: what a former owner has in the air can't
become visible (KIP-98).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata

from consumer.errors import LaneHalted, LaneLost
from consumer.job.events import message, terminal_event
from consumer.job.outcome import Outcome
from consumer.kafka.clients import (
    MAX_REQUEST_BYTES,
    producer_up,
    start_producer,
    stop_producer,
)
from consumer.kafka.committed import Kept
from consumer.kafka.connection import connection_options
from consumer.kafka.topic_ids import topic_id
from consumer.kafka.topics import MessageLimits
from consumer.line.dead_letters import Letter, letter_that_fits
from consumer.settings import KafkaSettings

TRANSACTION_TIMEOUT_MS = 10_000
# The broker refuses a transaction's first request while the last one's markers are being written,
# and its first batch until it has asked its coordinator. Both are over within milliseconds, for
# which aiokafka would wait 20 and 100 (docs/adr/0016-short-waits-between-transactions.md).
RETRY_BACKOFF_MS = 5
SETTLE_SECONDS = 15.0
START_SECONDS = 30.0


class Settlement:
    """Makes batches of outcomes durable for one partition of the jobs topic."""

    def __init__(
        self,
        settings: KafkaSettings,
        partition: TopicPartition,
        *,
        limits: MessageLimits,
        replay_id: str | None = None,
    ) -> None:
        """`limits`: how large the messages are that the topics take.

        `replay_id`: the replay run whose outcomes these are, if any. It writes no dead letters: the
        records are where they were.
        """
        self._settings = settings
        self._replay_id = replay_id
        self._limits = limits
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

    async def settle(self, batch: Sequence[Outcome], *, kept: Kept) -> None:
        """Commit the batch's terminal events, its dead letters and the offset after it.

        `kept` goes with the offset.

        Raises:
            LaneLost: fenced, or the broker didn't answer; whether it is committed, the next
                owner will read from the broker.
            LaneHalted: the jobs topic isn't the one any more that the batch was read from.
        """
        letters = [
            await letter_that_fits(outcome.record, outcome.failure, limit=self._limits.dead_letter)
            for outcome in batch
            if outcome.failure and self._replay_id is None
        ]
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._transact(batch, letters, kept)
        except LaneHalted:
            await self._abort()
            raise
        except MessageSizeTooLargeError as error:
            await self._abort()
            raise LaneLost(
                f"an event or a dead letter is larger than topic {self._settings.status_topic} or"
                f" {self._settings.dead_letter_topic} takes: was its max.message.bytes changed?"
                " It is read again now"
            ) from error
        except (KafkaError, TimeoutError, AssertionError) as error:
            raise LaneLost(f"a batch could not be settled: {error!r}") from error

    async def begin(self, offset: int, *, kept: Kept) -> None:
        """Commit an offset before which there is nothing to settle; `kept` goes with it.

        Raises:
            LaneLost: fenced, or the broker didn't answer.
        """
        offsets = {self._partition: OffsetAndMetadata(offset, kept.write())}
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._producer.begin_transaction()
                await self._producer.send_offsets_to_transaction(
                    offsets, self._settings.consumer_group
                )
                await self._producer.commit_transaction()
        except (KafkaError, TimeoutError, AssertionError) as error:
            raise LaneLost(f"the first offset could not be committed: {error!r}") from error

    async def _transact(
        self, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        group = self._settings.consumer_group
        offset = OffsetAndMetadata(batch[-1].record.offset + 1, kept.write())
        await self._producer.begin_transaction()
        deliveries = [await self._send_event(outcome, topic_id=kept.topic_id) for outcome in batch]
        deliveries += [await self._send_dead_letter(letter) for letter in letters]
        await asyncio.gather(
            self._producer.send_offsets_to_transaction({self._partition: offset}, group),
            *deliveries,
        )
        await self._check_topic(kept.topic_id)
        await self._producer.commit_transaction()

    async def _check_topic(self, expected: str) -> None:
        """Raise `LaneHalted` where another topic has the name of the one that we read."""
        if not expected:
            return
        now = await topic_id(self._producer.client, self._partition.topic)
        if now and now != expected:
            raise LaneHalted(
                f"{self._partition.topic} was made anew while it was read (its id was {expected},"
                f" and is {now}), and of what was in flight nothing more is settled:"
                " `maskline consume --from-offset 0` begins with the first record of the new one",
                reason="topic_anew",
            )

    async def _abort(self) -> None:
        """End the transaction now: while it is open, it holds back every subscriber."""
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._producer.abort_transaction()

    async def _send_event(self, outcome: Outcome, *, topic_id: str) -> asyncio.Future[Any]:
        arguments = message(
            terminal_event(outcome),
            outcome.record,
            group=self._settings.consumer_group,
            limit=self._limits.status,
            topic_id=topic_id,
            replay_id=self._replay_id,
        )
        delivery: asyncio.Future[Any] = await self._producer.send(
            self._settings.status_topic, partition=0, **arguments
        )
        return delivery

    async def _send_dead_letter(self, letter: Letter) -> asyncio.Future[Any]:
        """Send it by way of a batch, because `send` refuses a record with neither key nor value."""
        produced = self._producer.create_batch()
        # The first record of a producer's batch is taken whatever its size.
        produced.append(key=letter.key, value=letter.value, timestamp=None, headers=letter.headers)
        delivery: asyncio.Future[Any] = await self._producer.send_batch(
            produced, self._settings.dead_letter_topic, partition=0
        )
        return delivery
