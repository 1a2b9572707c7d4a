"""Where a lane starts: after the last settled record, or at the operator's `--from-offset`."""

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from consumer.errors import LaneHalted, StartError
from consumer.kafka.clients import stop_consumer
from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from schemas import cloud_events
from schemas.errors import InvalidMessage
from schemas.status import TERMINAL_STATES, StatusEvent

log = structlog.get_logger()


async def find_start(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    *,
    settings: KafkaSettings,
    from_offset: int | None,
) -> tuple[int, str | None]:
    """Give the offset that the lane starts at, and the bookmark of the ledger.

    `from_offset` is the operator's choice. It skips records that the topic has lost.

    Raises:
        LaneHalted: the topic no longer has what follows the last settled record.
        StartError: `from_offset` would settle records a second time.
    """
    partitions = consumer.partitions_for_topic(partition.topic) or {0}
    if len(partitions) > 1:
        raise LaneHalted(
            f"{partition.topic} has {len(partitions)} partitions now: there is no order in it"
        )
    first: int = (await consumer.beginning_offsets([partition]))[partition]
    end: int = (await consumer.end_offsets([partition]))[partition]
    settled, bookmark = await committed(settings, partition)
    if settled is None:
        last = await last_settled(settings, partition)
        settled = None if last is None else last + 1
    if from_offset is not None:
        return _chosen(from_offset, settled, end), bookmark
    start = first if settled is None else settled
    if start < first:
        raise LaneHalted(
            f"offsets {start} to {first - 1} of {partition.topic} are gone (retention) and were"
            f" never settled: `maskline consume --from-offset {first}` goes on without them"
        )
    if start > end:
        raise LaneHalted(
            f"group {settings.consumer_group} has settled {partition.topic} up to offset"
            f" {start}, but the topic ends at {end}: was it deleted and created again? Use another"
            " CONSUMER_GROUP, or delete the group's offsets"
        )
    return start, bookmark


def _chosen(start: int, settled: int | None, end: int) -> int:
    if settled is not None and start < settled:
        raise StartError(
            f"--from-offset {start}: records up to offset {settled - 1} are settled, and each"
            " is settled once. To process them again, replay them",
            exit_code=2,
        )
    if start > end:
        raise StartError(f"--from-offset {start}: the jobs topic ends at offset {end}", exit_code=2)
    log.warning("line.start_told", offset=start, settled=settled)
    return start


async def committed(settings: KafkaSettings, jobs: TopicPartition) -> tuple[int | None, str | None]:
    """The group's committed offset and its metadata; None each where there is none.

    Asked of the admin client, since the consumer's own `committed` drops the metadata.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
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
        **connection_options(settings),
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
    ours = (cloud_events.SOURCE, cloud_events.event_source(settings.consumer_group).encode())
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
