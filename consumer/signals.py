"""The signals that end the consumer, handled from its first moment on.

Whatever imports this does it before all else, so this imports next to nothing. The kernel doesn't
deliver a signal without a handler to process 1, which the consumer is in a container: it would be
killed when its grace is over, for the seconds that imports and models take.
"""

import os
import signal
import sys
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a replay run that was ended before its end: 0 would say that it is done."""


def end_at_once() -> None:
    """Let each of them end the process with 0: as long as it hasn't joined, nothing is open.

    A replay run ends with `INTERRUPTED`. A SIGHUP that is ignored, as under `nohup`, stays ignored.
    """
    for number in ending_signals():
        signal.signal(number, _end)


def ending_signals() -> tuple[signal.Signals, ...]:
    """Give the signals that end this process."""
    return tuple(
        number
        for number in ENDING
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    )


def _end(_number: int, _frame: FrameType | None) -> None:
    is_run = any(argument.startswith("--replay-id") for argument in sys.argv)
    os._exit(INTERRUPTED if is_run else 0)
