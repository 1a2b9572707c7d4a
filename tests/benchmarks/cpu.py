"""Processor time: the measure that other programs on the machine disturb least."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True)
class Meter:
    """The processor time that some processes had used at one moment."""

    used: Mapping[str, float]
    """Seconds by the process's name."""
    busy: float
    """Seconds that all cores together were busy, with any program's work."""
    pids: Mapping[str, int]
    """The processes by name."""
    at: float
    """The moment, in seconds."""

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> Self:
        """Read the clocks of these processes."""
        return cls(
            {name: _seconds(pid) for name, pid in pids.items()},
            _busy(),
            dict(pids),
            time.perf_counter(),
        )

    def stop(self) -> tuple[dict[str, float], float]:
        """Seconds that each process has used since, and how many cores all others have."""
        used = {name: _seconds(pid) - self.used[name] for name, pid in self.pids.items()}
        others = _busy() - self.busy - sum(used.values())
        return used, max(0.0, others / (time.perf_counter() - self.at))


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
