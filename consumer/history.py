"""How far the group has come: by its committed offset, and where that is lost, by its events."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from consumer.clients import stop_consumer
from consumer.settings import KafkaSettings
from schemas.errors import InvalidMessage
from schemas.status import TERMINAL_STATES, StatusEvent


async def committed(settings: KafkaSettings, jobs: TopicPartition) -> tuple[int | None, str | None]:
    """The group's committed offset and its metadata; None each where there is none.

    Asked of the admin client, since the consumer's own `committed` drops the metadata.
    """
    admin = AIOKafkaAdminClient(**settings.connection())
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(settings.consumer_group, partitions=[jobs])
    finally:
        await admin.close()
    offset, metadata = found[jobs]
    return (None, None) if offset < 0 else (offset, metadata)


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
    finally:
        await stop_consumer(consumer)


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
