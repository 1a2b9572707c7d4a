"""A replay run: a bounded part of history, done again in a group of its own.

How far it is stands with its group's committed offset, and nowhere else: its events may lie behind
millions of others in the status topic. So the offset is committed before the first job begins.
"""

import asyncio
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.errors import LaneHalted, StartError
from consumer.kafka.clients import stop_consumer
from consumer.kafka.committed import Committed, Kept, RunProgress, read_committed_offset
from consumer.kafka.connection import connection_options
from consumer.kafka.reader import Reader
from consumer.line.clients import LaneClients
from consumer.line.settler import halted_for
from consumer.line.start import Start
from consumer.settings import KafkaSettings
from schemas.replay import run_group

REACH_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """What a replay run was told."""

    replay_id: str
    offsets: range
    """From `--from-offset` to `--to-offset`, which is not included."""

    def settings(self, line: KafkaSettings) -> KafkaSettings:
        """Give the line's settings with the run's own group: no run fences the line."""
        return line.model_copy(
            update={"consumer_group": run_group(line.consumer_group, self.replay_id)}
        )


async def check_run(settings: KafkaSettings, run: Run) -> None:
    """Raise `StartError` where the run can't be over these offsets; `settings` are the run's own.

    The bounds count only until it has begun: retention may take what it has settled.
    """
    jobs = TopicPartition(settings.jobs_topic, 0)
    reader = Reader(**connection_options(settings))  # its end is behind open transactions
    try:
        async with asyncio.timeout(REACH_SECONDS):
            committed = await _committed(settings, jobs)
            await reader.start()
            first = (await reader.beginning_offsets([jobs]))[jobs]
            end = (await reader.end_offsets([jobs]))[jobs]
    except (KafkaError, TimeoutError) as error:
        raise StartError(
            f"Kafka at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} can't be used:"
            f" {error or repr(error)}",
            exit_code=3,
        ) from error
    finally:
        await stop_consumer(reader)
    if committed.offset is not None:
        _check_same(committed, run)
    elif run.offsets.start < first or run.offsets.stop > end:
        wrong = (
            f"--from-offset {run.offsets.start}"
            if run.offsets.start < first
            else f"--to-offset {run.offsets.stop}"
        )
        raise StartError(
            f"{wrong}: {jobs.topic} begins at offset {first} and ends at offset {end}", exit_code=2
        )


async def begin_or_go_on(
    clients: LaneClients, run: Run, *, settings: KafkaSettings, stood_by: bool
) -> tuple[Start, RunProgress]:
    """Say where the run goes on; where it hasn't begun, commit that it begins.

    `stood_by`: whether another process had the run meanwhile. A halt ends its standbys, too;
    whoever starts the run again lifts it.

    Raises:
        StartError: the run of this name is over other offsets, or of a topic of before.
        LaneHalted: it has halted, or its next records are gone.
    """
    jobs = clients.partition
    committed = await read_committed_offset(settings, jobs)
    if committed.offset is None:
        return await _begin(clients, run, settings, committed.topic_id)
    progress = _check_same(committed, run)
    first = (await clients.reader.beginning_offsets([jobs]))[jobs]
    if committed.offset < min(first, run.offsets.stop):
        raise LaneHalted(
            f"offsets {committed.offset} to {first - 1} of {jobs.topic} are gone (retention), and"
            f" replay {run.replay_id} had not done them: begin another replay at offset {first}",
            reason="records_gone",
        )
    if committed.halted_after is not None and stood_by:
        raise halted_for(committed.kept.failures, after=committed.halted_after)
    start = Start(
        offset=committed.offset,
        place=committed.kept.bookmark,
        topic_id=committed.topic_id,
        failures=0 if committed.kept.halted else committed.kept.failures,
    )
    return start, progress


async def _begin(
    clients: LaneClients, run: Run, settings: KafkaSettings, topic_id: str
) -> tuple[Start, RunProgress]:
    status = TopicPartition(settings.status_topic, 0)
    place = (await clients.reader.end_offsets([status]))[status]
    progress = RunProgress(run.offsets)
    start = run.offsets.start
    await clients.settlement.begin(
        start, kept=Kept(bookmark=place, topic_id=topic_id, run=progress)
    )
    return Start(offset=start, place=place, topic_id=topic_id), progress


def _check_same(committed: Committed, run: Run) -> RunProgress:
    """Give how far the run is, where the committed offset is that of the same run."""
    known = committed.kept.run
    if known is None or known.offsets != run.offsets:
        began = f"offsets {known.offsets.start} to {known.offsets.stop}" if known else "others"
        raise StartError(
            f"replay {run.replay_id} began with {began}, not with {run.offsets.start} to"
            f" {run.offsets.stop}: go on with these, or give another --replay-id",
            exit_code=2,
        )
    if committed.made_anew:
        raise StartError(
            f"the jobs topic was made anew since replay {run.replay_id} began: give another"
            " --replay-id",
            exit_code=3,
        )
    return known


async def _committed(settings: KafkaSettings, jobs: TopicPartition) -> Committed:
    """Ask the group's coordinator, again while it is moving or Kafka makes its first one."""
    while True:
        try:
            return await read_committed_offset(settings, jobs)
        except KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
