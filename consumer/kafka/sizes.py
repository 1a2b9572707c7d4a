"""How large a record is on its way, as brokers measure it against `max.message.bytes`."""

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder


def batch_bytes(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> int:
    """Give the size in bytes of a batch of this one record, at the most.

    Also where gzip makes it larger, since it can't make it smaller: by 5 bytes in each 16 KiB.
    """
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, list(headers))
    return size + size // 1000 + 64
