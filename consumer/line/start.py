"""Where a lane starts: after the last settled record, or at the operator's `--from-offset`."""

from dataclasses import dataclass, replace

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.errors import LaneHalted, StartError
from consumer.kafka.committed import read_committed_offset
from consumer.line.history import read_history, read_settled
from consumer.settings import KafkaSettings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that a new owner takes over from those before it."""

    offset: int
    """The first record to take."""
    place: int | None
    """Where in the status topic the ledger is read from; None: there is nothing in it for us."""
    topic_id: str
    """The jobs topic's id; empty where the broker knows none."""
    failures: int = 0
    """Dead letters in a row so far, of those that count."""
    halted_after: int | None = None
    """The last settled record of a line that halted for dead letters in a row."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """The jobs topic as it is."""

    name: str
    topic_id: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class _Left:
    """What the last owner left behind."""

    settled: int | None
    place: int | None
    topic_id: str
    failures: int = 0
    halted_after: int | None = None

    def is_of(self, topic: _Topic) -> bool:
        """Whether it speaks of this topic, and not of one that had its name before."""
        return not self.topic_id or not topic.topic_id or self.topic_id == topic.topic_id


async def find_start(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    *,
    settings: KafkaSettings,
    from_offset: int | None,
) -> Start:
    """Say where the lane starts, and what else a former owner has left.

    `from_offset` is the operator's choice. It skips records that the topic has lost.

    Raises:
        LaneHalted: the topic no longer has what follows the last settled record.
        StartError: `from_offset` would settle records a second time, or isn't in the topic.
    """
    partitions = consumer.partitions_for_topic(partition.topic) or {0}
    if len(partitions) > 1:
        raise LaneHalted(
            f"{partition.topic} has {len(partitions)} partitions now, and there is no order in it:"
            " make a topic of one partition (JOBS_TOPIC, `maskline topics create`), let the"
            " producers write to it, then restart",
            reason="partitions",
        )
    left, topic_id = await _find_left(settings, partition)
    topic = await _look_at(consumer, partition, topic_id)
    if from_offset is not None:
        return _chosen(from_offset, left, topic)
    if not left.is_of(topic):
        raise LaneHalted(
            f"{topic.name} was made anew since group {settings.consumer_group} settled it up to"
            f" offset {left.settled} (its id was {left.topic_id}, and is {topic.topic_id}):"
            f" `maskline consume --from-offset {topic.first}` begins with the first record of the"
            " new one",
            reason="topic_anew",
        )
    start = topic.first if left.settled is None else left.settled
    if not topic.first <= start <= topic.end:
        raise _out_of_range(start, topic)
    return _start(start, left, topic)


async def halt_before(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int
) -> LaneHalted:
    """Say what became of the records from offset `start` on, and how to go on without them."""
    return _out_of_range(start, await _look_at(consumer, partition, ""))


async def _find_left(settings: KafkaSettings, jobs: TopicPartition) -> tuple[_Left, str]:
    """Give what the last owner left, and the jobs topic's id as it is now.

    A broker forgets a group's offsets together with the topic, so the status topic is asked, too.
    """
    committed = await read_committed_offset(settings, jobs)
    kept = committed.kept
    if committed.offset is None:
        history = await read_history(settings, jobs)
        return _Left(history.settled, history.place, history.topic_id), committed.topic_id
    left = _Left(
        committed.offset, kept.bookmark, kept.topic_id, kept.failures, committed.halted_after
    )
    if kept.bookmark is not None:  # the line's own commit, and not a reset by Kafka's tools
        left = await _not_behind(left, settings, jobs, place=kept.bookmark)
    return left, committed.topic_id


async def _not_behind(
    left: _Left, settings: KafkaSettings, jobs: TopicPartition, *, place: int
) -> _Left:
    """Go on behind the last terminal event, should the committed offset be older than it.

    They are committed together. Once, after a broker had stood still, its coordinator gave an
    offset of before the last transaction (docs/adr/0040-the-status-topic-is-asked-too.md).
    """
    history = await read_settled(settings, jobs, place=place)
    same_topic = history.topic_id == left.topic_id
    if history.settled is None or not same_topic or history.settled <= (left.settled or 0):
        return left
    log.warning("line.offset_behind", offset=left.settled, settled=history.settled)
    return replace(left, settled=history.settled, halted_after=None)


def _chosen(start: int, left: _Left, topic: _Topic) -> Start:
    # What was settled beyond the topic's end was settled of another topic, or is lost.
    other = not left.is_of(topic) or (left.settled is not None and left.settled > topic.end)
    if left.settled is not None and start < left.settled and not other:
        raise StartError(
            f"--from-offset {start}: records up to offset {left.settled - 1} are settled, and each"
            " is settled once. To process them again, replay them",
            exit_code=2,
        )
    if not topic.first <= start <= topic.end:
        raise StartError(
            f"--from-offset {start}: {topic.name} begins at offset {topic.first} and ends at"
            f" offset {topic.end}",
            exit_code=2,
        )
    log.warning("line.start_told", offset=start, settled=left.settled, other_topic=other)
    if other:
        return Start(offset=start, place=None, topic_id=topic.topic_id)
    return _start(start, left, topic)


def _start(offset: int, left: _Left, topic: _Topic) -> Start:
    return Start(
        offset=offset,
        place=left.place,
        topic_id=topic.topic_id,
        failures=left.failures,
        halted_after=left.halted_after,
    )


async def _look_at(consumer: AIOKafkaConsumer, partition: TopicPartition, topic_id: str) -> _Topic:
    first: int = (await consumer.beginning_offsets([partition]))[partition]
    end: int = (await consumer.end_offsets([partition]))[partition]
    return _Topic(partition.topic, topic_id, first, end)


def _out_of_range(start: int, topic: _Topic) -> LaneHalted:
    if start < topic.first:
        return LaneHalted(
            f"offsets {start} to {topic.first - 1} of {topic.name} are gone (retention) and were"
            f" never settled: `maskline consume --from-offset {topic.first}` goes on without them",
            reason="records_gone",
        )
    return LaneHalted(
        f"{topic.name} is settled up to offset {start}, but it ends at {topic.end}. Where it was"
        f" made anew, `maskline consume --from-offset {topic.first}` begins with its first record;"
        f" where it has lost its latest records, `maskline consume --from-offset {topic.end}` goes"
        " on without them",
        reason="topic_end",
    )
