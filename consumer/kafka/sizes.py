"""How large a record is on its way, as brokers measure it against `max.message.bytes`."""

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder


def batch_bytes(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> int:
    """Give the size in bytes, at the most, of a batch of this one record, uncompressed."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, list(headers))
    return size
