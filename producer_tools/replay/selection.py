"""Which records are repeated: offsets, times, jobs, states."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from consumer.settings import KafkaSettings
from producer_tools.client.line import end_of_all
from producer_tools.client.scan import first_offset, offset_at
from producer_tools.errors import SelectionError
from producer_tools.view.tables import Shown
from schemas.timestamp import Timestamp

_DURATION = TypeAdapter(timedelta)
_MOMENT = TypeAdapter(Timestamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked for. From is inclusive, to is exclusive."""

    from_offset: int | None = None
    to_offset: int | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    moves: bool = False
    """Whether the time was counted from now, so that it is another one each time."""
    jobs: frozenset[str] = frozenset()
    """These jobs alone. Empty: any."""
    states: frozenset[Shown] = frozenset()
    """Those in these states alone. Empty: any."""

    @property
    def is_of_all(self) -> bool:
        """Return whether nothing was chosen."""
        return self == Selection()

    @property
    def is_fixed(self) -> bool:
        """Return whether it means the same offsets whenever it is asked."""
        return self.from_offset is not None and self.to_offset is not None


async def find_offsets(settings: KafkaSettings, selection: Selection) -> range:
    """Return the offsets that are meant, as the topic is now.

    Raises:
        SelectionError: They aren't in the topic, or there are none.
        ServiceError: Kafka can't be reached.
    """
    topic = settings.jobs_topic
    first, end = await first_offset(settings, topic), await end_of_all(settings, topic)
    start = await _bound(settings, selection.from_offset, selection.from_time, end, default=first)
    stop = await _bound(settings, selection.to_offset, selection.to_time, end, default=end)
    if start < first and selection.from_offset is not None:
        raise SelectionError(f"--from-offset {start}: {topic} begins at offset {first}")
    if stop > end:
        raise SelectionError(f"--to-offset {stop}: {topic} ends at offset {end}")
    if start > stop:
        raise SelectionError(f"the end, offset {stop}, lies before the beginning, offset {start}")
    return range(max(start, first), stop)


async def _bound(
    settings: KafkaSettings, offset: int | None, time: datetime | None, end: int, *, default: int
) -> int:
    if offset is not None:
        return offset
    if time is None:
        return default
    milliseconds = max(0, round(time.timestamp() * 1000))
    found = await offset_at(settings, settings.jobs_topic, milliseconds)
    return end if found is None else found


def read_time(text: str) -> datetime:
    """Read a time in ISO 8601. One without a zone is UTC.

    Raises:
        ValueError: It is none.
    """
    try:
        return _MOMENT.validate_python(text)
    except ValidationError:
        raise ValueError(f"{text!r} is no time; it looks like 2026-11-22T10:30:00Z") from None


def before_now(duration: str) -> datetime:
    """Return the time that lies an ISO 8601 duration before now.

    Raises:
        ValueError: It is none.
    """
    try:
        span = _DURATION.validate_python(duration if duration.startswith("P") else "")
        if span <= timedelta():
            raise ValueError
        return datetime.now(UTC) - span
    except (ValueError, OverflowError):
        raise ValueError(f"{duration!r} is no duration; it looks like P1D or PT6H") from None
