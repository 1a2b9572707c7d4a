"""Daemon threads for calls that block: kept for the next call, and never waited for at the end.

An executor's threads are joined when Python ends, and one that waits for a dead S3 would hold up
the exit for half a minute. A new thread for each call costs more than a small call itself, and
`Thread.start` blocks the event loop until the thread has begun.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

_Call = Callable[["_DaemonThread"], None]


class DaemonThreads:
    """As many threads as calls are under way at the most; the caller bounds that."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_DaemonThread] = []

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work in a thread; where the caller is cancelled, its result goes nowhere."""
        future: Future[T] = Future()

        def call(daemon: "_DaemonThread") -> None:
            if not future.set_running_or_notify_cancel():
                self._idle.append(daemon)
                return
            # A daemon is idle again before its result is seen, so that it is there for the next.
            try:
                result = work()
            except BaseException as error:
                self._idle.append(daemon)
                future.set_exception(error)
            else:
                self._idle.append(daemon)
                future.set_result(result)

        try:
            daemon = self._idle.pop()
        except IndexError:
            daemon = _DaemonThread(self._name)
            daemon.start()
        daemon.calls.put(call)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the idle threads end; those at work are left to themselves."""
        while self._idle:
            self._idle.pop().calls.put(None)


class _DaemonThread(Thread):
    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()

    def run(self) -> None:
        """Serve calls until there are none to come."""
        while (call := self.calls.get()) is not None:
            call(self)
            del call  # what the last call held shouldn't live until the next
