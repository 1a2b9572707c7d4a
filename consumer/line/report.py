"""The consumer's state for the probes and `/stats`: live, ready, how far it has come."""

from typing import Any

from consumer.job.services import Services
from consumer.line.line import Line
from consumer.line.state import LineState
from consumer.line.throughput import Throughput
from consumer.settings import LineSettings
from consumer.telemetry.probes import Check
from consumer.telemetry.pulse import Pulse

STUCK_SECONDS = 60.0


class Report:
    """Answers the probes and `/stats` from what the line and its services know."""

    def __init__(
        self, limits: LineSettings, *, line: Line, services: Services, throughput: Throughput
    ) -> None:
        self._limits = limits
        self._line = line
        self._services = services
        self._throughput = throughput

    def live(self) -> str | None:
        """Why only a restart helps, if so; never the state of the broker or another service."""
        stuck = self._services.inference.stuck_seconds()
        if stuck > STUCK_SECONDS:
            return f"a worker thread has run on for {stuck:.0f} s after its deadline"
        return None

    def ready(self) -> dict[str, Check]:
        """Each thing that must be in order, and what is wrong where it isn't.

        Whoever reaches the port may read it: it names services and settings, no user's objects.
        A standby, which has no partition and so no lane, is ready once it is in the group.
        """
        state = self._line.state()
        holding = self._services.holds.reasons()
        return {
            "models": Check(ok=True, detail=", ".join(self._services.catalog.names)),
            "kafka": _check(state.unheard),
            "rights": _check(state.rights_missing),
            "group": _check(None if state.joined else state.lost or "joining"),
            "lane": _check(_lane_away(state)),
            "producer": _check(state.producer_down),
            "control_heard": _check(state.control_unheard),
            "not_halted": _check(state.halted),
            "not_holding": _check("; ".join(holding)),
        }

    def stats(self) -> dict[str, Any]:
        """How far the line is; counts in offsets, so an upper bound where there are gaps."""
        state = self._line.state()
        return {
            "queue_max": self._limits.queue_max_size,
            "queue_current": state.in_flight if state.unsettled is None else state.unsettled,
            "workers": self._limits.worker_count,
            "jobs_processed": self._throughput.jobs,
            "uptime_sec": int(self._throughput.uptime()),
            "position": state.position,
            "end_offset": state.end_offset,
            "in_flight": state.in_flight,
            "jobs_per_second": round(self._throughput.jobs_per_second(), 2),
            "assigned": state.assigned,
        }

    def pulse(self) -> Pulse:
        """How the line is, for the metrics."""
        state = self._line.state()
        return Pulse(
            owner=state.opened or state.halted is not None,
            standby=state.joined and not state.assigned,
            halt_reason=state.halt_reason,
            settled_at=state.settled_at,
            oldest_at=None if state.oldest_ms is None else state.oldest_ms / 1000,
            unsettled=state.unsettled,
            jobs_per_second=self._throughput.jobs_per_second(),
        )


def _check(wrong: str | None) -> Check:
    return Check(ok=not wrong, detail=wrong or "ok")


def _lane_away(state: LineState) -> str | None:
    standby = state.joined and not state.assigned
    if state.opened or state.halted or standby:
        return None
    return state.lost or "opening"
