import asyncio
import threading

import pytest

from consumer.s3.daemon_threads import DaemonThreads


def alive() -> int:
    """Count the threads of this module's daemons."""
    return sum(thread.name == "test-daemon" for thread in threading.enumerate())


@pytest.fixture
def daemons() -> DaemonThreads:
    """None yet."""
    return DaemonThreads("test-daemon")


async def test_calls_one_after_another_share_a_thread(daemons: DaemonThreads) -> None:
    """The result is theirs, and the thread is kept."""
    before = alive()
    assert [await daemons.run(lambda: 1 + 1) for _ in range(20)] == [2] * 20
    assert alive() == before + 1
    daemons.close()


async def test_calls_side_by_side_have_threads_of_their_own(daemons: DaemonThreads) -> None:
    """All of them are under way at once, or the barrier would never open."""
    barrier = threading.Barrier(5)
    calls = (daemons.run(lambda: barrier.wait(10)) for _ in range(5))
    assert sorted(await asyncio.gather(*calls)) == [0, 1, 2, 3, 4]
    daemons.close()


async def test_an_error_is_the_callers_and_the_thread_goes_on(daemons: DaemonThreads) -> None:
    """Also one that isn't an `Exception`."""
    for error in (ValueError, KeyboardInterrupt):

        def fail(error: type[BaseException] = error) -> None:
            raise error

        with pytest.raises(error):
            await daemons.run(fail)
        assert await daemons.run(lambda: "next") == "next"
    daemons.close()


async def test_a_call_that_was_cancelled_holds_up_nobody(daemons: DaemonThreads) -> None:
    """The next one has another thread; the first is idle again when its call has ended."""
    going, began = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        going.wait(10)

    stuck = asyncio.create_task(daemons.run(wait))
    await asyncio.to_thread(began.wait, 10)
    stuck.cancel()
    assert await daemons.run(lambda: "next") == "next"
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    assert await daemons.run(lambda: "after") == "after"
    daemons.close()


async def test_closed_daemons_end(daemons: DaemonThreads) -> None:
    """Those that are idle."""
    await daemons.run(lambda: None)
    threads = [thread for thread in threading.enumerate() if thread.name == "test-daemon"]
    daemons.close()
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
    assert not any(thread.is_alive() for thread in threads)
