"""Whatever a batch holds, each of its offsets is given once, in order, within bounds."""

import random
import tracemalloc
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.kafka.batches import RecordBatches
from consumer.kafka.reader import AnyRecord, BoundedRecords, UnreadableRecord
from consumer.kafka.record_stream import MAX_HEADERS, MAX_RECORD_BYTES
from consumer.kafka.unpacking import Unpackable, unpacked
from tests.support.raw_batches import (
    CODECS,
    Latin,
    Plain,
    batch_of,
    repacked,
    wide_window,
    with_offset,
)

PARTITION = TopicPartition("t", 0)
CRC = slice(17, 21)

TEXTS = st.one_of(st.none(), st.binary(max_size=200))
RECORDS = st.lists(
    st.tuples(TEXTS, TEXTS, st.lists(st.tuples(st.text(max_size=9), TEXTS), max_size=4)),
    min_size=1,
    max_size=30,
)


def read(data: bytes, *, aborted: Sequence[Any] = (), start: int = 0) -> list[AnyRecord]:
    """Read an answer to a fetch."""
    return list(BoundedRecords(PARTITION, RecordBatches(data), aborted, start, None, None, True, 1))


def as_aiokafka(data: bytes, *, start: int = 0) -> list[AnyRecord]:
    """Read it as aiokafka alone does."""
    return list(PartitionRecords(PARTITION, MemoryRecords(data), [], start, None, None, True, 1))


def reasons(records: list[AnyRecord]) -> list[str]:
    """What is wrong with each record; empty where nothing is."""
    return [record.reason if isinstance(record, UnreadableRecord) else "" for record in records]


@settings(deadline=None)  # the first of each takes as long as it takes
@given(RECORDS, st.sampled_from(sorted(CODECS)), st.integers(0, 5))
def test_ordinary_batches_are_read_as_aiokafka_reads_them(
    records: list[Plain], codec: str, start: int
) -> None:
    """Also one that is cut off, behind whole ones."""
    batch = batch_of(records, codec)
    data = batch + batch[: len(batch) // 2]
    assert read(data, start=start) == as_aiokafka(data, start=start)


@settings(deadline=None)  # the first of each takes as long as it takes
@given(RECORDS, st.sampled_from(sorted(CODECS)))
def test_the_slow_way_gives_the_same(records: list[Plain], codec: str) -> None:
    """A last record that aiokafka can't read makes all of the batch go that way."""
    batch = batch_of([*records, (None, None, [(Latin("a"), None)])], codec)
    found = read(batch)
    plain = as_aiokafka(batch_of(records, codec))
    assert [(one.offset, one.key, one.value, one.headers) for one in found[:-1]] == [
        (one.offset, one.key, one.value, one.headers) for one in plain
    ]
    assert "UTF-8" in reasons(found)[-1]


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_large_batches_are_read_in_pieces(codec: str) -> None:
    """Compressible and not, to several megabytes."""
    noise = random.Random(codec).randbytes(700_000)
    records: list[Plain] = [
        (b"k%d" % number, part, [("h", b"x")])
        for number, part in enumerate([noise, bytes(3_000_000), b"", None, noise[::-1]])
    ]
    batch = batch_of(records, codec)
    assert read(batch) == as_aiokafka(batch)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_record_that_is_too_large_costs_no_memory(codec: str) -> None:
    """Its neighbours are read, and of itself all but the value."""
    size = MAX_RECORD_BYTES + 1 if codec == "snappy" else 5 * MAX_RECORD_BYTES
    batch = batch_of(
        [(b"a", b"1", ()), (b"b", bytes(size), [("h", b"2")]), (b"c", b"3", ())], codec
    )
    tracemalloc.start()
    found = read(batch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [(one.key, one.value) for one in found] == [(b"a", b"1"), (b"b", None), (b"c", b"3")]
    odd = found[1]
    assert isinstance(odd, UnreadableRecord)
    assert (odd.value_bytes, odd.headers) == (size, (("h", b"2"),))
    if codec not in ("none", "snappy"):
        assert peak < 8 * 1024 * 1024


def test_headers_without_number_are_not_kept() -> None:
    """Each takes two bytes in the batch."""
    headers = [("", None)] * (MAX_HEADERS + 1)
    found = read(batch_of([(b"a", b"1", headers), (b"b", b"2", ())], "gzip"))
    assert [(one.key, one.value, one.headers) for one in found] == [
        (b"a", b"1", ()),
        (b"b", b"2", ()),
    ]
    assert "headers" in reasons(found)[0]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd", "snappy"])
def test_a_batch_that_breaks_off_ends_each_of_its_offsets(codec: str) -> None:
    """Those before the break are good."""
    noise = random.Random(2).randbytes(3_000_000)
    records: list[Plain] = [(b"k", noise[at * 500_000 :][:500_000], ()) for at in range(6)]
    whole = batch_of(records, codec)[61:]
    broken = repacked(batch_of(records), codec, lambda _: whole[: len(whole) // 2])
    found = read(broken)
    assert [one.offset for one in found] == list(range(6))
    assert reasons(found)[-1].startswith("its batch can't be read")


@settings(deadline=None)  # the first of each takes as long as it takes
@given(st.binary(max_size=300), st.sampled_from(sorted(set(CODECS) - {"none"})))
def test_noise_instead_of_compressed_records_ends_each_offset(noise: bytes, codec: str) -> None:
    """Nothing that a decompressor makes of it is an error of ours."""
    batch = repacked(batch_of([(b"k", b"v", ())] * 3), codec, lambda _: noise)
    assert [one.offset for one in read(batch)] == [0, 1, 2]


@settings(deadline=None)  # the first of each takes as long as it takes
@given(st.binary(max_size=300))
def test_noise_instead_of_records_ends_each_offset(noise: bytes) -> None:
    """A broker looks at records, but not as we do."""
    batch = repacked(batch_of([(b"k", b"v", ())] * 3), "none", lambda _: noise)
    offsets = [one.offset for one in read(batch)]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize("delta", [-1, 1, 5, 1_000_000])
def test_a_record_that_names_another_offset_fails_at_its_own(delta: int) -> None:
    """One that was believed would be committed, and all before it passed over."""
    found = read(with_offset(batch_of([(b"k", b"v", ())] * 3), delta))
    assert [one.offset for one in found] == [0, 1, 2]
    assert [bool(why) for why in reasons(found)] == [True, False, False]


def test_gaps_of_a_compacted_batch_are_none_of_ours() -> None:
    """Its header counts fewer records than it has offsets."""
    batch = bytearray(batch_of([(b"k", b"v", ())] * 3))
    batch[60] = 2
    record_bytes = (len(batch) - 61) // 3
    compacted = repacked(
        bytes(batch), "none", lambda data: data[:record_bytes] + data[2 * record_bytes :]
    )
    assert [one.offset for one in read(compacted)] == [0, 2]


def test_an_unknown_compression_ends_each_offset() -> None:
    """Of a later Kafka."""
    batch = bytearray(batch_of([(b"k", b"v", ())] * 2, "gzip"))
    batch[22] |= 7
    batch[CRC] = crc_of(batch)
    assert all("isn't known" in reason for reason in reasons(read(bytes(batch))))


def test_a_window_that_is_too_wide_is_not_given() -> None:
    """128 MiB for a few bytes."""
    with pytest.raises(Unpackable):
        list(unpacked(CODECS["zstd"], memoryview(wide_window(b"x"))))


def test_frames_one_after_another_are_one_stream() -> None:
    """As gzip has it."""
    packed = memoryview(gzipped(b"one") + gzipped(b"two"))
    assert b"".join(unpacked(CODECS["gzip"], packed)) == b"onetwo"


def test_a_compressed_batch_of_the_old_format_is_one_unreadable_record() -> None:
    """Kafka 0.10 wrote such; what is in it isn't looked at."""
    legacy = (41).to_bytes(8, "big") + (30).to_bytes(4, "big") + bytes(4) + b"\x01\x01" + bytes(24)
    found = read(legacy, start=41)
    assert [one.offset for one in found] == [41]
    assert "0.11" in reasons(found)[0]


def gzipped(data: bytes) -> bytes:
    """Compress as gzip."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def crc_of(batch: bytearray) -> bytes:
    """Give the checksum that the batch must have."""
    return repacked(bytes(batch), "none", lambda data: data)[CRC]
