"""Intake on a real Kafka: what it asks the broker for while its lane has no room."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.line import intake
from consumer.line.lane import Lane
from consumer.settings import KafkaSettings, load
from tests.support.bench import Bench

pytestmark = pytest.mark.integration

POLLS = 4


async def test_what_is_read_ahead_is_read_once_however_long_the_lane_is_full(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that holds would read a MiB each second, and over a narrow network nothing else."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(intake, "IDLE_SECONDS", 0.05)
    for number in range(3):
        await bench.submit(f"job-{number}", "s3://mask-uploads/none.png")
    fetches: list[Any] = []
    idle_polls = 0
    enough = asyncio.Event()

    async def open_lane(
        consumer: AIOKafkaConsumer, partition: TopicPartition, resources: AsyncExitStack
    ) -> tuple[Lane, int]:
        send, getmany = consumer._client.send, consumer.getmany

        async def send_seen(node: int, request: Any, **how: Any) -> Any:
            if "Fetch" in type(request).__name__ and "Offset" not in type(request).__name__:
                fetches.append(request)
            return await send(node, request, **how)

        async def getmany_seen(*partitions: TopicPartition, **how: Any) -> Any:
            nonlocal idle_polls
            idle_polls += lane.in_flight
            if idle_polls > POLLS:
                enough.set()
            return await getmany(*partitions, **how)

        monkeypatch.setattr(consumer._client, "send", send_seen)
        monkeypatch.setattr(consumer, "getmany", getmany_seen)
        lane = Lane(capacity=1, execute=_without_end, settle=_never)
        return lane, 0

    settings = load(KafkaSettings)
    async with asyncio.timeout(60):
        async with intake.Intake(settings, open_lane=open_lane, drain_seconds=0) as full:
            await full.run(enough)
            assert full.progress() == (1, 3)

    assert len(fetches) == 1


async def _without_end(*_: object) -> Any:
    await asyncio.Event().wait()


async def _never(_: object) -> None:
    raise AssertionError("nothing ends, so nothing is settled")
