"""The state of the line, as the probes and `/stats` see it."""

from dataclasses import dataclass

from consumer.errors import HaltReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """How the line is at this moment."""

    joined: bool = False
    assigned: bool = False
    opened: bool = False
    halted: str | None = None
    """Why nothing is settled until a person acts, if so."""
    halt_reason: HaltReason | None = None
    """The same in one word."""
    lost: str | None = None
    """Why the last lane was lost, until the next one is open."""
    rights_missing: str | None = None
    """Which rights in Kafka we lack, and what grants them, as far as is known."""
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
    settled_at: float | None = None
    """When the lane last settled something, or else began; seconds since 1970."""
    oldest_ms: int | None = None
    """The timestamp of the oldest record that was taken and isn't settled."""

    @property
    def unsettled(self) -> int | None:
        """Records not yet settled, an upper bound; None where nobody knows."""
        # Where jobs were given up, they wait again.
        first = self.next_offset if self.opened else self.position
        if first is None or self.end_offset is None:
            return None
        return self.in_flight + max(0, self.end_offset - first)
