"""The line as a tool finds it: its topics, and connections to them that end in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumer.kafka.authorization import denied_right, missing_rights
from consumer.kafka.clients import stop_consumer, stop_producer
from consumer.kafka.committed import read_committed_offset
from consumer.kafka.connection import connection_options
from consumer.kafka.reader import Reader
from consumer.kafka.rights import Right, lacking, to_ask_group, to_read
from consumer.kafka.topic_ids import topic_id
from consumer.kafka.topics import HOW_TO_MEND
from consumer.settings import KafkaSettings
from producer_tools.errors import ServiceError

T = TypeVar("T")

REACH_SECONDS = 20.0
"""The longest wait for a broker's response."""
_ASK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LineIdentity:
    """What distinguishes this line from every other."""

    cluster_id: str
    """The id of the Kafka cluster."""
    topics: Mapping[str, str]
    """The topics that were asked for, and their ids. Brokers of before Kafka 3.1 have no ids."""


def unreachable(settings: KafkaSettings, error: BaseException, *takes: Right) -> ServiceError:
    """Return the error of a Kafka that can't be used.

    `takes`: the rights that what was tried takes, of which one may be missing.
    """
    denied = denied_right(error, takes)
    if denied is not None:
        return refused(settings, [denied])
    reason = str(error) or f"no answer within {REACH_SECONDS:g} s"
    return ServiceError(
        f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} can't be used:"
        f" {reason}"
    )


def refused(settings: KafkaSettings, missing: Sequence[Right]) -> ServiceError:
    """Return the error of rights that are missing."""
    return ServiceError(f"Kafka refuses us: {lacking(missing, settings)}")


async def find_line(settings: KafkaSettings, rights: Sequence[Right]) -> LineIdentity:
    """Check the rights, and that their topics exist, each with one partition.

    A client that asks for a topic by its name may create it, so this comes before all else.

    Args:
        settings: The line.
        rights: What is about to be done.

    Returns:
        The line's identity.

    Raises:
        ServiceError: Kafka can't be reached or refuses us, or a topic is missing or has several
            partitions.
    """
    topics = list(dict.fromkeys(right.name for right in rights if right.kind == "topic"))
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await admin.start()
            if missing := await missing_rights(admin._client, rights):
                raise refused(settings, missing)
            cluster = await admin.describe_cluster()
            partitions = {
                topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()
            }
            _check_topics(topics, partitions)
            ids = {name: await topic_id(admin._client, name) for name in topics}
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from error
    finally:
        await admin.close()
    return LineIdentity(str(cluster["cluster_id"]), ids)


def _check_topics(topics: Sequence[str], partitions: Mapping[str, int]) -> None:
    for name in topics:
        if partitions.get(name) != 1:
            found = f"{partitions[name]} partitions, not 1" if name in partitions else "no topic"
            raise ServiceError(f"There is {found} for {name}: {HOW_TO_MEND}")


@asynccontextmanager
async def open_reader(settings: KafkaSettings, **options: Any) -> AsyncIterator[Reader]:
    """Open a reader of committed records. Every reader of the tools is opened here.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    reader = Reader(
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        **options,
        **connection_options(settings),
    )
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await reader.start()
    except BaseException as error:
        await stop_consumer(reader)
        if isinstance(error, KafkaError | TimeoutError):
            raise unreachable(settings, error) from error
        raise
    try:
        yield reader
    finally:
        await stop_consumer(reader)


async def check_rights(settings: KafkaSettings, reader: Reader, rights: Sequence[Right]) -> None:
    """Return if we have the rights.

    Raises:
        ServiceError: One is missing, or Kafka doesn't answer.
    """
    try:
        async with asyncio.timeout(REACH_SECONDS):
            missing = await missing_rights(reader._client, rights)
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from error
    if missing:
        raise refused(settings, missing)


async def offsets(settings: KafkaSettings, reader: Reader, partition: TopicPartition) -> range:
    """Return the offsets from the topic's first record to its end, as this reader sees them.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await reader.learn_leaders([partition])
            first = (await reader.beginning_offsets([partition]))[partition]
            end = (await reader.end_offsets([partition]))[partition]
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error, *to_read(partition.topic)) from error
    return range(first, end)


async def ends(
    settings: KafkaSettings, reader: Reader, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return where the topics end, as this reader sees them.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await reader.learn_leaders(partitions)
            found: dict[TopicPartition, int] = await reader.end_offsets(list(partitions))
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error) from error
    return found


async def end_of_all(settings: KafkaSettings, topic: str) -> int:
    """Return the end of a topic, transactions that are still open included.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    partition = TopicPartition(topic, 0)
    reader = Reader(**connection_options(settings))  # of uncommitted records, too
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await reader.start()
            end: int = (await reader.end_offsets([partition]))[partition]
            return end
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error, *to_read(topic)) from error
    finally:
        await stop_consumer(reader)


@asynccontextmanager
async def open_producer(
    settings: KafkaSettings, *takes: Right, **options: Any
) -> AsyncIterator[AIOKafkaProducer]:
    """Open an idempotent producer; `takes`: the rights that its transactions take.

    Raises:
        ServiceError: Kafka can't be reached.
    """
    producer = AIOKafkaProducer(
        enable_idempotence=True,
        request_timeout_ms=int(REACH_SECONDS * 1000),
        **options,
        **connection_options(settings),
    )
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await producer.start()
    except BaseException as error:
        await stop_producer(producer)
        if isinstance(error, KafkaError | TimeoutError):
            raise unreachable(settings, error, *takes) from error
        raise
    try:
        yield producer
    finally:
        await stop_producer(producer)


async def group_members(settings: KafkaSettings) -> int:
    """Return how many consumers are in the line's group: its owner, and the standbys.

    Raises:
        ServiceError: Kafka doesn't answer.
    """

    async def ask() -> int:
        admin = AIOKafkaAdminClient(**connection_options(settings))
        try:
            await admin.start()
            (answer,) = await admin.describe_consumer_groups([settings.consumer_group])
        finally:
            await admin.close()
        # Each group: error, name, state, protocol type, protocol, members.
        return sum(len(group[5]) for group in answer.groups)

    return await _ask_coordinator(settings, ask)


async def halted_behind(settings: KafkaSettings) -> int | None:
    """Return the last settled record of a line that halted for dead letters in a row.

    None: it hasn't halted. `maskline resume` lifts the halt.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    jobs = TopicPartition(settings.jobs_topic, 0)

    async def ask() -> int | None:
        return (await read_committed_offset(settings, jobs)).halted_after

    return await _ask_coordinator(settings, ask)


async def settled_before(settings: KafkaSettings) -> int:
    """Return the offset before which the line has settled all records. 0: none yet.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    jobs = TopicPartition(settings.jobs_topic, 0)

    async def ask() -> int:
        committed = await read_committed_offset(settings, jobs)
        return 0 if committed.made_anew else committed.offset or 0

    return await _ask_coordinator(settings, ask)


async def unsettled(settings: KafkaSettings) -> int:
    """Return how many records the line hasn't settled, at the most: offsets have gaps.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    settled = await settled_before(settings)
    async with open_reader(settings) as reader:
        there = await offsets(settings, reader, TopicPartition(settings.jobs_topic, 0))
    return there.stop - max(there.start, settled)


async def _ask_coordinator(settings: KafkaSettings, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the group's coordinator, again while it is moving or Kafka makes its first one."""
    try:
        async with asyncio.timeout(REACH_SECONDS):
            while True:
                try:
                    return await ask()
                except KafkaError as error:
                    if not error.retriable:
                        raise
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, error, *to_ask_group(settings)) from error
