"""How long a command takes: by the clock, and of processors."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timed:
    """One run of `maskline` that ended with 0."""

    out: str
    seconds: float
    processor_seconds: float
    """Of all its threads. On an idle machine with two cores the clock shows hardly more."""


def timed_maskline(*arguments: str, environment: Mapping[str, str]) -> Timed:
    """Run a command of `maskline` to its end.

    Raises:
        RuntimeError: It didn't end with 0.
    """
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "producer_tools", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"maskline {' '.join(arguments)} ended with {process.returncode}")
    return Timed(out, seconds, used.ru_utime + used.ru_stime)
