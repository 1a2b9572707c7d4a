import asyncio
import threading
from collections.abc import Iterator

import pytest

from consumer.s3.daemon_threads import DaemonThreads


@pytest.fixture
def daemons() -> Iterator[DaemonThreads]:
    """None yet."""
    threads = DaemonThreads("test-daemon")
    yield threads
    threads.close()


async def test_calls_one_after_another_share_a_thread(daemons: DaemonThreads) -> None:
    """The result is theirs, and the thread is kept."""
    assert [await daemons.run(lambda: 1 + 1) for _ in range(20)] == [2] * 20
    assert len({await daemons.run(threading.current_thread) for _ in range(20)}) == 1


async def test_calls_side_by_side_have_threads_of_their_own(daemons: DaemonThreads) -> None:
    """All of them are under way at once, or the barrier would never open."""
    barrier = threading.Barrier(5)
    calls = (daemons.run(barrier.wait) for _ in range(5))
    assert sorted(await asyncio.gather(*calls)) == [0, 1, 2, 3, 4]


async def test_an_error_is_the_callers_and_the_thread_goes_on(daemons: DaemonThreads) -> None:
    """Also one that isn't an `Exception`."""
    for error in (ValueError, KeyboardInterrupt):

        def fail(error: type[BaseException] = error) -> None:
            raise error

        with pytest.raises(error):
            await daemons.run(fail)
        assert await daemons.run(lambda: "next") == "next"


async def test_a_call_that_was_cancelled_holds_up_no_other(daemons: DaemonThreads) -> None:
    """The next one has another thread; the first is idle again when its call has ended."""
    going, began = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        going.wait()

    stuck = asyncio.create_task(daemons.run(wait))
    await asyncio.to_thread(began.wait)
    stuck.cancel()
    assert await daemons.run(lambda: "next") == "next"
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    assert await daemons.run(lambda: "after") == "after"


async def test_a_closed_daemon_ends(daemons: DaemonThreads) -> None:
    """One that is idle."""
    thread = await daemons.run(threading.current_thread)
    daemons.close()
    await asyncio.to_thread(thread.join)
    assert not thread.is_alive()
