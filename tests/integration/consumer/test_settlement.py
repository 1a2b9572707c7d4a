"""Settlement on a real Kafka: what is left of a transaction that its lane doesn't end."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition

from consumer.errors import LaneLost
from consumer.outcome import Outcome, Record
from consumer.settings import KafkaSettings, load
from consumer.settlement import Settlement
from tests.integration.consumer.conftest import Bench

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Settings of a line with its topics."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    return load(KafkaSettings)


async def test_a_fenced_settlement_leaves_no_word_but_its_own(
    kafka: KafkaSettings, complaints: Callable[[], list[str]]
) -> None:
    """The error is raised once; asyncio has no exception left that nobody asked for."""
    partition = TopicPartition(kafka.jobs_topic, 0)

    async def fenced() -> None:
        async with Settlement(kafka, partition) as former, Settlement(kafka, partition):
            with pytest.raises(LaneLost):
                await former.settle(run(partition), bookmark="")

    await fenced()
    assert complaints() == []


@pytest.mark.parametrize("turns", [1, 4, 16, 64])
async def test_a_lane_that_closes_in_a_transaction_leaves_no_word(
    kafka: KafkaSettings, complaints: Callable[[], list[str]], turns: int
) -> None:
    """After so many turns of the loop, wherever that finds the transaction."""
    partition = TopicPartition(kafka.jobs_topic, 0)

    async def closed() -> None:
        async with Settlement(kafka, partition) as former:
            settling = asyncio.create_task(former.settle(run(partition), bookmark=""))
            for _ in range(turns):
                await asyncio.sleep(0)
            async with Settlement(kafka, partition):
                settling.cancel()
                await asyncio.gather(settling, return_exceptions=True)

    await closed()
    assert complaints() == []


def run(partition: TopicPartition) -> list[Outcome]:
    """Three cancelled jobs."""
    records = [
        Record(partition.topic, partition.partition, offset, 0, b"key", b"{}", ())
        for offset in range(3)
    ]
    return [Outcome(record, "cancelled", 1) for record in records]
