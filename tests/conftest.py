"""What holds for every test."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

# A shell starts its background jobs with SIGINT ignored, and a child would inherit that: the tests
# that press Ctrl-C would wait for ever. A signal that is handled here is a default one in a child.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def complaints() -> AsyncIterator[Callable[[], list[str]]]:
    """Gives what asyncio complains of: exceptions that nobody asked for, when they are deleted."""
    found: list[str] = []

    def hear(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        found.append(f"{context['message']}: {context.get('exception')!r}")

    def all_collected() -> list[str]:
        gc.collect()
        return found

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(hear)
    yield all_collected
    loop.set_exception_handler(None)
