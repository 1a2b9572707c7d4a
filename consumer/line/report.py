"""The consumer's state for the probes and `/stats`: live, ready, how far it has come."""

from typing import Any

from consumer.job.inference import Inference
from consumer.line.line import Line
from consumer.line.throughput import Throughput
from consumer.settings import LineSettings
from consumer.telemetry.probes import Check

STUCK_SECONDS = 60.0


class Report:
    """Answers the probes and `/stats` from what the line and its services know."""

    def __init__(
        self, limits: LineSettings, *, line: Line, inference: Inference, throughput: Throughput
    ) -> None:
        self._limits = limits
        self._line = line
        self._inference = inference
        self._throughput = throughput

    def live(self) -> str | None:
        """Why only a restart helps, if so; never the state of the broker or another service."""
        stuck = self._inference.stuck_seconds()
        if stuck > STUCK_SECONDS:
            return f"a worker thread has run on for {stuck:.0f} s after its deadline"
        return None

    def ready(self) -> dict[str, Check]:
        """Each thing that must be in order, and what is wrong where it isn't.

        A standby, which has no partition and so no lane, is ready once it is in the group.
        """
        intake = self._line.intake
        joined = intake is not None and intake.joined
        lane = intake.lane if intake else None
        opened = lane is not None or (joined and intake is not None and intake.assigned is None)
        halted = lane.halted if lane is not None else None
        holding = self._line.services.holds.reasons()
        control = self._line.cancellations if lane is not None else None
        unheard = control.unheard if control else None
        return {
            "models": Check(ok=True, detail=", ".join(self._line.services.catalog.names)),
            "group": Check(ok=joined, detail=_or_ok(not joined, self._line.lost or "joining")),
            "lane": Check(ok=opened, detail=_or_ok(not opened, self._line.lost or "opening")),
            "control_heard": Check(ok=unheard is None, detail=unheard or "ok"),
            "not_halted": Check(ok=halted is None, detail=halted or "ok"),
            "not_holding": Check(ok=not holding, detail="; ".join(holding) or "ok"),
        }

    def stats(self) -> dict[str, Any]:
        """How far the line is; counts in offsets, so an upper bound where there are gaps."""
        intake = self._line.intake
        position, end = intake.progress() if intake else (None, None)
        in_flight = intake.lane.in_flight if intake and intake.lane else 0
        waiting = max(0, end - position) if position is not None and end is not None else 0
        return {
            "queue_max": self._limits.queue_max_size,
            "queue_current": in_flight + waiting,
            "workers": self._limits.worker_count,
            "jobs_processed": self._throughput.jobs,
            "uptime_sec": int(self._throughput.uptime()),
            "position": position,
            "end_offset": end,
            "in_flight": in_flight,
            "jobs_per_second": round(self._throughput.jobs_per_second(), 2),
            "assigned": bool(intake and intake.assigned is not None),
        }


def _or_ok(wrong: bool, reason: str) -> str:
    return reason if wrong else "ok"
