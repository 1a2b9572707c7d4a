"""Batches of records as no well-behaved producer sends them, byte for byte."""

import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c, encode_varint

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Headers = Sequence[tuple[str, bytes | None]]
Plain = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record."""

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_HEADER_BYTES = 61
_ATTRIBUTES = 21
_CRC = 17


class Latin(str):
    """A header's name as a producer in C may send it: bytes that are no UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Give bytes of another encoding, whatever is asked for."""
        del encoding, errors
        return b"gr\xf6\xdfe"


class _Built:
    """Stands in for a batch builder whose work is done."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def build(self) -> bytearray:
        """Give the batch."""
        return bytearray(self._data)

    def size(self) -> int:
        """Give its size."""
        return len(self._data)


def batch_of(
    records: Sequence[Plain], codec: str = "none", *, timestamp_ms: int | None = None
) -> bytes:
    """Give a batch of these records, with offsets from 0 on, compressed as aiokafka does it.

    `timestamp_ms`: of each record; None is now.
    """
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1 << 31,
    )
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, timestamp_ms, key, value, list(headers))
    return bytes(builder.build())


def with_offset(batch: bytes, delta: int) -> bytes:
    """Give an uncompressed batch of equal records whose first says that it has another offset."""
    size = (len(batch) - _HEADER_BYTES) // struct.unpack_from(">i", batch, _HEADER_BYTES - 4)[0]
    said = bytearray()
    encode_varint(delta, said.append)
    first = bytearray(batch[_HEADER_BYTES : _HEADER_BYTES + size])
    first[0] += 2 * (len(said) - 1)  # its length, as a varint of one byte
    first[3:4] = said
    return repacked(batch, "none", lambda records: bytes(first) + records[size:])


def repacked(batch: bytes, codec: str, pack: Callable[[bytes], bytes]) -> bytes:
    """Give an uncompressed batch with its records compressed by `pack`, said to be of `codec`."""
    header = bytearray(batch[:_HEADER_BYTES])
    header[_ATTRIBUTES + 1] |= CODECS[codec]
    packed = pack(batch[_HEADER_BYTES:])
    struct.pack_into(">i", header, 8, len(header) + len(packed) - 12)
    whole = header + packed
    struct.pack_into(">I", whole, _CRC, calc_crc32c(bytes(whole[_ATTRIBUTES:])))
    return bytes(whole)


def wide_window(data: bytes) -> bytes:
    """Compress by zstd with a window that a reader must have 128 MiB for."""
    parameter = zstd.CompressionParameter
    options = {int(parameter.window_log): 27, int(parameter.content_size_flag): 0}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(data) + compressor.flush()


async def send_batch(servers: str, topic: str, batch: bytes) -> int:
    """Send a batch as it is; give the offset of its first record."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_request_size=1 << 30)
    async with producer:
        offset: int = (await (await deliver_batch(producer, topic, batch))).offset
        return offset


async def deliver_batch(producer: AIOKafkaProducer, topic: str, batch: bytes) -> Any:
    """Hand a batch as it is to a producer; give its delivery."""
    builder: Any = producer.create_batch()
    builder._builder = _Built(batch)
    builder._relative_offset = struct.unpack_from(">i", batch, 57)[0]
    builder.close()  # or the producer would append its next record to it
    return await producer.send_batch(builder, topic, partition=0)
