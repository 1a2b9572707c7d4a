"""Intake on a real Kafka: what it asks the broker for while its lane has no room."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from consumer.job.executor import JobExecutor
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.turns import Turn
from consumer.line.clients import lane_clients
from consumer.line.intake import Intake
from consumer.line.lane import Lane
from consumer.line.settler import Settler
from consumer.settings import KafkaSettings, load
from tests.support.bench import Bench

pytestmark = pytest.mark.integration

WHILE_SECONDS = 2.0


async def test_what_is_read_ahead_is_read_once_however_long_the_lane_is_full(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that holds would read a MiB each second, and over a narrow network nothing else."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    for number in range(3):
        await bench.submit(f"job-{number}", "s3://mask-uploads/none.png")
    partition = TopicPartition(bench.line.jobs, 0)
    fetches: list[Any] = []
    stop = asyncio.Event()

    async with asyncio.timeout(60), lane_clients(load(KafkaSettings), partition) as clients:
        send = clients.reader._client.send

        async def send_seen(node: int, request: Any, **how: Any) -> Any:
            if "Fetch" in type(request).__name__ and "Offset" not in type(request).__name__:
                fetches.append(request)
            return await send(node, request, **how)

        monkeypatch.setattr(clients.reader._client, "send", send_seen)
        async with Lane(executor=Endless(), settler=Never(), start=0, capacity=1) as lane:
            taking = asyncio.create_task(Intake(clients.reader, partition, lane=lane).run(stop))
            while not lane.in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(WHILE_SECONDS)
            stop.set()
            await taking
            assert (lane.position, lane.next_offset) == (0, 1)

    assert len(fetches) == 1


class Endless(JobExecutor):
    """Its jobs don't end."""

    def __init__(self) -> None:
        pass

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    async def abandon(self) -> None:
        """Do nothing."""


class Never(Settler):
    """Nothing ends, so nothing is settled."""

    def __init__(self) -> None:
        pass

    async def settle(self, batch: Sequence[Outcome]) -> int:
        """Fail."""
        raise AssertionError(batch)
