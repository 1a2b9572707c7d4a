"""Reads a part of a topic to its end, also where a producer's transaction is still open in it."""

import time
from collections.abc import AsyncGenerator, Callable

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumer.kafka.reader import AnyRecord, Reader
from consumer.kafka.rights import to_read
from consumer.settings import KafkaSettings
from producer_tools.client.line import offsets, open_reader, unreachable
from producer_tools.errors import ServiceError

Progress = Callable[[int], None]
"""Takes the offset up to which a topic is read."""

_POLL_MS = 500
_SILENT_SECONDS = 30.0
_OPEN_SECONDS = 90.0


async def first_offset(settings: KafkaSettings, topic: str) -> int:
    """Return the offset of the first record that a topic still has.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    async with open_reader(settings) as reader:
        return (await offsets(settings, reader, TopicPartition(topic, 0))).start


async def offset_at(settings: KafkaSettings, topic: str, milliseconds: int) -> int | None:
    """Return the offset of the first record that is not older than that. None: all are older.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    partition = TopicPartition(topic, 0)
    async with open_reader(settings) as reader:
        try:
            found = (await reader.offsets_for_times({partition: milliseconds}))[partition]
        except KafkaError as error:
            raise unreachable(settings, error, *to_read(topic)) from error
    return None if found is None else int(found.offset)


async def scan(
    settings: KafkaSettings, topic: str, wanted: range, *, progress: Progress | None = None
) -> AsyncGenerator[AnyRecord, None]:
    """Yield the committed records at these offsets. Those that are gone are passed over.

    The caller may take its time between them.

    Raises:
        ServiceError: Kafka doesn't answer any more, or a transaction stays open for too long.
    """
    partition = TopicPartition(topic, 0)
    async with open_reader(settings) as reader:
        first = (await offsets(settings, reader, partition)).start
        reader.assign([partition])
        reader.seek(partition, max(first, wanted.start))
        moved_at = time.monotonic()
        while (position := await reader.position(partition)) < wanted.stop:
            try:
                records = (await reader.getmany(partition, timeout_ms=_POLL_MS)).get(partition, [])
            except OffsetOutOfRangeError:  # retention was faster
                first = (await offsets(settings, reader, partition)).start
                reader.seek(partition, max(first, position))
                continue
            except KafkaError as error:
                raise unreachable(settings, error, *to_read(topic)) from error
            for record in records:
                if record.offset >= wanted.stop:
                    return
                yield record
            if await reader.position(partition) > position:
                moved_at = time.monotonic()  # the caller's time doesn't count
            else:
                _check_wait(settings, reader, partition, time.monotonic() - moved_at)
            if progress is not None:
                progress(min(await reader.position(partition), wanted.stop))


def _check_wait(
    settings: KafkaSettings, reader: Reader, partition: TopicPartition, waited: float
) -> None:
    """Raise where there is no sense in waiting for more."""
    answered_at = reader.last_poll_timestamp(partition) or 0
    if waited > _SILENT_SECONDS and time.time() - answered_at / 1000 > _SILENT_SECONDS:
        raise ServiceError(
            f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} has not answered"
            f" for {_SILENT_SECONDS:g} s. The same command goes on where it stopped"
        )
    if waited > _OPEN_SECONDS:
        raise ServiceError(
            f"A producer's transaction in {partition.topic} has been open for {_OPEN_SECONDS:g} s,"
            " and what lies behind it can't be read. Try again when it has ended"
        )
