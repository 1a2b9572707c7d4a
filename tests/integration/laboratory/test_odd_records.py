"""Records that no well-behaved producer sends: the line goes on, or halts with the reason."""

import gzip
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from producer_tools.local.stack import LocalStack
from tests.laboratory.evidence import Foreseen
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.oracle import OWNERSHIPS, judge
from tests.laboratory.workload import TOPIC_TAKES, Planned, plan

pytestmark = pytest.mark.integration


class Latin(str):
    """A header's name as a producer in C may send it: bytes that are no UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Give bytes of another encoding, whatever is asked for."""
        del encoding, errors
        return b"gr\xf6\xdfe"


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
    async with AIOKafkaProducer(bootstrap_servers=laboratory.bootstrap) as producer:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(
            magic=2,
            compression_type=0,
            is_transactional=False,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=16384,
        )
        batch.append(key=b"k", value=b"{}", timestamp=None, headers=[(Latin("size"), b"1")])
        delivery = await producer.send_batch(batch, laboratory.line.jobs, partition=0)
        offset: int = (await delivery).offset
        return offset


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


async def test_a_record_that_cannot_be_read_halts_the_line_right_before_it(
    stack: LocalStack, tmp_path: Path
) -> None:
    """All before it is settled; then /readyz names it, and `--from-offset` passes over it."""
    async with Laboratory(stack, folder=tmp_path, seed=3) as laboratory:
        await laboratory.submit(plan(3, records=20, poisoned=2))
        unreadable = await submit_unreadable(laboratory)
        await laboratory.submit(plan(4, records=20, poisoned=2))
        owner = laboratory.start()
        await laboratory.watch.reaches(20, seconds=60)
        await owner.until_halted(f"offset {unreadable}")
        await laboratory.end_all()

        laboratory.start("--from-offset", str(unreadable + 1))
        await laboratory.watch.reaches(40, seconds=60)
        await laboratory.end_all()
        evidence = await laboratory.evidence()

    # A person has passed over a record, and the oracle sees it.
    failing = [verdict.check for verdict in judge(evidence) if not verdict.holds]
    assert failing == [OWNERSHIPS]
