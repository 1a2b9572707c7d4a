"""The publisher of the events that don't end a job: `processing` and `retrying`."""

import asyncio
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.errors import LaneLost
from consumer.job.events import message
from consumer.job.record import Record
from consumer.kafka.clients import (
    MAX_REQUEST_BYTES,
    producer_up,
    start_producer,
    stop_producer,
)
from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from schemas.status import StatusEvent

PUBLISH_SECONDS = 15.0
# Jobs are taken by the handful: one request for their starts costs us and the broker as one does.
LINGER_MS = 5


class StatusPublisher:
    """Publishes events outside any transaction, each acknowledged by the broker.

    An acknowledged `processing` event before the start of each job is the ledger of attempts.
    """

    def __init__(
        self, settings: KafkaSettings, *, limit: int, replay_id: str | None = None
    ) -> None:
        """`limit`: how large a batch of records the status topic takes, in bytes.

        `replay_id`: the replay run whose events these are, if any.
        """
        self._settings = settings
        self._limit = limit
        self._replay_id = replay_id
        self._producer = AIOKafkaProducer(
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_request_size=MAX_REQUEST_BYTES,
            **connection_options(settings),
        )

    async def __aenter__(self) -> Self:
        await start_producer(self._producer, "producer of status events", seconds=PUBLISH_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_producer(self._producer)

    @property
    def up(self) -> bool:
        """Whether the producer is at work."""
        return producer_up(self._producer)

    async def publish(self, event: StatusEvent, record: Record) -> int:
        """Give the event's offset once the broker has it.

        Raises:
            LaneLost: the broker refuses it, or can't be reached.
        """
        arguments = message(
            event,
            record,
            group=self._settings.consumer_group,
            limit=self._limit,
            replay_id=self._replay_id,
        )
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                published = await self._producer.send_and_wait(
                    self._settings.status_topic, partition=0, **arguments
                )
        except (KafkaError, TimeoutError) as error:
            raise LaneLost(f"a status event can't be published: {error!r}") from error
        offset: int = published.offset
        return offset
