"""What the status topic remembers where the group's committed offset has been forgotten."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.errors import LaneLost
from consumer.settings import KafkaSettings
from schemas.errors import InvalidMessage
from schemas.status import TERMINAL_STATES, StatusEvent


async def last_settled(settings: KafkaSettings, jobs: TopicPartition) -> int | None:
    """The highest offset of `jobs` that this group has a terminal event for, if there is one."""
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **settings.connection(),
    )
    try:
        await consumer.start()
        return await _scan(consumer, settings, jobs)
    except KafkaError as error:
        raise LaneLost(f"topic {settings.status_topic} can't be read: {error!r}") from error
    finally:
        await consumer.stop()


async def _scan(
    consumer: AIOKafkaConsumer, settings: KafkaSettings, jobs: TopicPartition
) -> int | None:
    status = TopicPartition(settings.status_topic, 0)
    consumer.assign([status])
    await consumer.seek_to_beginning(status)
    end = (await consumer.end_offsets([status]))[status]
    ours = ("ce_source", f"/maskline/{settings.consumer_group}".encode())
    highest: int | None = None
    while await consumer.position(status) < end:
        for records in (await consumer.getmany(status, timeout_ms=1000)).values():
            for record in records:
                offset = _settled(record.value, jobs) if ours in record.headers else None
                if offset is not None:
                    highest = max(offset, highest or 0)
    return highest


def _settled(value: bytes | None, jobs: TopicPartition) -> int | None:
    try:
        event = StatusEvent.read(value)
    except InvalidMessage:
        return None
    where = (event.source.topic, event.source.partition)
    if event.state in TERMINAL_STATES and event.replay_id is None and where == tuple(jobs):
        return event.source.offset
    return None
