"""The signals that end the program, once its event loop runs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from consumer.signals import end_at_once, ending_signals


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let a signal set `stop`. Before the block it ends the process at once, and after it again."""
    loop = asyncio.get_running_loop()
    numbers = ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
        end_at_once()
