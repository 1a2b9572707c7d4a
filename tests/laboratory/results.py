"""Runs as lines of JSON: a series goes on where it stopped, and docs are made of them."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.laboratory.run import RunReport


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run: what was asked for, and what came of it."""

    asked: dict[str, Any]
    """The command's options: the same give the same workload and schedule."""
    ended_at: str
    machine: str
    seconds: float
    figures: dict[str, float]
    against: dict[str, list[str]]
    """What contradicts each check that fails."""
    costs: list[dict[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether every check does."""
        return not self.against


def recorded(report: RunReport, asked: dict[str, Any]) -> RecordedRun:
    """The run as it is recorded."""
    return RecordedRun(
        asked=asked,
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        seconds=report.seconds,
        figures=report.figures,
        against=report.against,
        costs=[asdict(cost) for cost in report.costs],
    )


def append(file: Path, one: RecordedRun) -> None:
    """Write a run at the end of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(one)) + "\n")


def read(files: Iterable[Path]) -> list[RecordedRun]:
    """Read files of recorded runs; a file that isn't there has none."""
    return [
        RecordedRun(**json.loads(line))
        for file in files
        if file.exists()
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def machine() -> str:
    """Name the machine in words that mean something elsewhere: cores, processor, system, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {_processor()}, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    names = facts.read_text().splitlines() if facts.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in names if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
