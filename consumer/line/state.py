"""The state of the line, as the probes and `/stats` see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """How the line is at this moment."""

    joined: bool = False
    assigned: bool = False
    opened: bool = False
    halted: str | None = None
    """Why nothing is settled until a person acts, if so."""
    lost: str | None = None
    """Why the last lane was lost, until the next one is open."""
    unheard: str | None = None
    """What of Kafka hasn't answered for longer than the session's time-out, if anything."""
    control_unheard: str | None = None
    """Why the control topic can't be heard, while it can't."""
    producer_down: str | None = None
    """Which producer of the lane has ended by itself, if one has."""
    in_flight: int = 0
    """Records taken and not yet settled."""
    position: int | None = None
    """Offset of the next record to settle."""
    next_offset: int | None = None
    """Offset of the next record to take."""
    end_offset: int | None = None
    """Where the jobs topic ends, as last told."""
