"""Records that no well-behaved producer sends: the line goes on."""

import gzip
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from producer_tools.local.stack import LocalStack
from tests.laboratory.evidence import Foreseen
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.oracle import judge
from tests.laboratory.workload import TOPIC_TAKES, Planned, plan
from tests.support.raw_batches import Latin, batch_of, send_batch

pytestmark = pytest.mark.integration


async def submit_compressed(laboratory: Laboratory, planned: list[Planned], codec: str) -> None:
    """Submit records as a producer that compresses does."""
    producer = AIOKafkaProducer(
        bootstrap_servers=laboratory.bootstrap,
        compression_type=codec,
        max_request_size=64 * TOPIC_TAKES,
    )
    async with producer:
        for one in planned:
            sent = await producer.send_and_wait(
                laboratory.line.jobs, one.value, key=one.key, headers=list(one.headers)
            )
            laboratory.foresee(sent.offset, one.foreseen)


async def submit_unreadable(laboratory: Laboratory) -> int:
    """Submit a record with a header whose name is no UTF-8; give its offset."""
    batch = batch_of([(b"k", b"{}", [(Latin("size"), b"1")])])
    return await send_batch(laboratory.bootstrap, laboratory.line.jobs, batch)


async def contradictions(laboratory: Laboratory) -> list[str]:
    """Settle all, end, and give what contradicts the promise."""
    await laboratory.reaches(laboratory.records)
    await laboratory.end_all()
    return [str(verdict) for verdict in judge(await laboratory.evidence()) if not verdict.holds]


async def test_records_of_every_compression_are_settled(stack: LocalStack, tmp_path: Path) -> None:
    """Also four megabytes that the topic took as a few kilobytes, and that must be put aside."""
    huge = Planned("huge", b"huge", b"x" * (4 * TOPIC_TAKES), Foreseen("failed", "invalid_message"))
    assert len(gzip.compress(huge.value or b"")) < TOPIC_TAKES
    async with Laboratory(stack, folder=tmp_path, seed=2) as laboratory:
        for seed, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
            planned = [huge, *plan(seed, records=6, poisoned=2)]
            await submit_compressed(laboratory, planned, codec)
        laboratory.start()

        assert await contradictions(laboratory) == []


async def test_a_record_that_cannot_be_read_ends_like_any_other(
    stack: LocalStack, tmp_path: Path
) -> None:
    """It fails in its turn, all around it is settled, and nobody need look."""
    async with Laboratory(stack, folder=tmp_path, seed=3) as laboratory:
        await laboratory.submit(plan(3, records=20, poisoned=2))
        unreadable = await submit_unreadable(laboratory)
        await laboratory.submit(plan(4, records=20, poisoned=2))
        laboratory.start()
        await laboratory.watch.reaches(41, seconds=60)
        await laboratory.end_all()
        evidence = await laboratory.evidence()

    ended = [(event.offset, event.code) for event in evidence.terminal]
    assert [offset for offset, _ in ended] == list(range(41))
    assert ended[unreadable] == (unreadable, "invalid_message")
