"""What a scrape is told of the line: plain values, at the moment when it asks."""

from dataclasses import dataclass

from consumer.errors import HaltReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """How the line is at this moment."""

    owner: bool = False
    """Whether this member has the partition, and its lane is open or has halted."""
    standby: bool = False
    """Whether it is in the group without the partition, ready to take over."""
    halt_reason: HaltReason | None = None
    """Why nothing is settled until a person acts, if so."""
    settled_at: float | None = None
    """When the lane last settled something, or else was opened; seconds since 1970."""
    oldest_at: float | None = None
    """The timestamp of the oldest record that was taken and isn't settled; seconds since 1970."""
    unsettled: int | None = None
    """Records not yet settled, an upper bound; None where this member doesn't know."""
    jobs_per_second: float = 0.0
    """Settled jobs a second, over the last minute."""

    def seconds_to_empty(self) -> float | None:
        """How long what is unsettled takes at the present rate; infinite while nothing settles."""
        if not self.unsettled:
            return None if self.unsettled is None else 0.0
        return self.unsettled / self.jobs_per_second if self.jobs_per_second else float("inf")
