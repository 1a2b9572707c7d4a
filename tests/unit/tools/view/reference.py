"""What the view's rows must be: computed straight from the topics, by the shortest code.

It shares no code with the view but the names of the states, and looks at all records at once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from producer_tools.view.tables import Shown
from schemas.errors import InvalidMessage
from schemas.job import Job


@dataclass
class Raw:
    """A record of a topic."""

    offset: int
    value: bytes | None
    key: bytes | None = b"key"
    timestamp: int = 1_700_000_000_000
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class Expected:
    """What the view must show of a record."""

    shown: Shown
    job_id: str
    settled: bool = False
    attempt: int = 0


def expected_rows(
    jobs: Sequence[Any], status: Sequence[Any], control: Sequence[Any]
) -> dict[int, Expected]:
    """Return what the rows must be, by offset."""
    rows = {record.offset: _job(record) for record in jobs}
    events = [event for record in status if (event := _load(record.value)) is not None]
    events = [event for event in events if event.get("replay_id") is None]
    cancels = [cancel for record in control if (cancel := _load(record.value)) is not None]
    for cancel in cancels:
        for offset, row in rows.items():
            if row.job_id == cancel["job_id"] and offset < cancel["before_offset"]:
                row.shown = Shown.CANCELLED if row.shown is Shown.QUEUED else row.shown
    through = -1
    for event in events:
        offset, state = event["source"]["offset"], Shown[event["state"].upper()]
        if offset not in rows:
            continue
        row = rows[offset]
        if state.ended:
            through = max(through, offset)
        if row.settled or (not state.ended and offset <= through):
            continue
        row.shown, row.settled = state, state.ended
        row.attempt = max(row.attempt, event["attempt"])
    for offset, row in rows.items():
        if offset <= through and not row.shown.ended:
            row.shown = Shown.FAILED
    return rows


def _job(record: Any) -> Expected:
    try:
        return Expected(Shown.QUEUED, Job.read(record.value).job_id)
    except InvalidMessage:
        return Expected(Shown.FAILED, (record.key or b"")[:512].decode(errors="replace")[:128])


def _load(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(value or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"job_id"} <= found.keys() else None
