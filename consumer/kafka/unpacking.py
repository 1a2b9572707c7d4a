"""Compressed record batches, unpacked a piece at a time, so that no batch can fill the memory."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import lz4.frame
from aiokafka.record.default_records import DefaultRecordBatch

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1024 * 1024
ZSTD_WINDOW_LOG = 25
"""A zstd window of at most 32 MiB, which is level 20's; Kafka's clients use level 3, and 2 MiB."""
SNAPPY_BLOCK_BYTES = 32 * 1024 * 1024
"""What one snappy block may unpack to: it can't be unpacked in pieces."""
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class Unpackable(Exception):
    """The bytes can't be unpacked, or not within our bounds; the text says why."""


def unpacked(codec: int, data: memoryview) -> Iterator[bytes]:
    """Give what `data` unpacks to, in order, each piece of bounded size.

    `codec` is Kafka's number: 1 gzip, 2 snappy, 3 LZ4, 4 zstd.

    Raises:
        Unpackable: sooner or later; what came before is right.
    """
    try:
        if codec == DefaultRecordBatch.CODEC_SNAPPY:
            yield from _unpacked_snappy(data)
        elif codec in _DECOMPRESSORS:
            yield from _unpacked_stream(_DECOMPRESSORS[codec], data)
        else:
            raise Unpackable(f"compression {codec} isn't known")
    except (
        zlib.error,
        zstd.ZstdError,
        cramjam.DecompressionError,
        RuntimeError,  # lz4's
        EOFError,
        ValueError,
    ) as error:
        raise Unpackable(str(error)) from error


def _unpacked_stream(new: Callable[[], Any], data: bytes | memoryview) -> Iterator[bytes]:
    """Unpack one frame after another; zlib hands back unread input, the others keep it."""
    while data:
        frame = new()
        while not frame.eof:
            piece = frame.decompress(data, PIECE_BYTES)
            data = getattr(frame, "unconsumed_tail", b"")
            if piece:
                yield piece
            elif not frame.eof:
                raise Unpackable("the compressed data ends in the middle")
        data = frame.unused_data


def _unpacked_snappy(data: memoryview) -> Iterator[bytes]:
    """Unpack one raw block, or the blocks of a stream as Java's clients write it."""
    if not bytes(data[:_XERIAL_HEADER_BYTES]).startswith(_XERIAL_MAGIC):
        yield _snappy_block(data)
        return
    rest = data[_XERIAL_HEADER_BYTES:]
    while rest:
        size = int.from_bytes(rest[:4], "big")
        if size > len(rest) - 4:
            raise Unpackable("the compressed data ends in the middle")
        yield _snappy_block(rest[4 : 4 + size])
        rest = rest[4 + size :]


def _snappy_block(block: memoryview) -> bytes:
    packed = bytes(block)
    size = cramjam.snappy.decompress_raw_len(packed)
    if size > SNAPPY_BLOCK_BYTES:
        raise Unpackable(f"a snappy block unpacks to {size} bytes, more than {SNAPPY_BLOCK_BYTES}")
    return bytes(cramjam.snappy.decompress_raw(packed))


def _zstd() -> Any:
    limit = {int(zstd.DecompressionParameter.window_log_max): ZSTD_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=limit)


_DECOMPRESSORS: dict[int, Callable[[], Any]] = {
    DefaultRecordBatch.CODEC_GZIP: lambda: zlib.decompressobj(wbits=31),
    DefaultRecordBatch.CODEC_LZ4: lz4.frame.LZ4FrameDecompressor,
    DefaultRecordBatch.CODEC_ZSTD: _zstd,
}
