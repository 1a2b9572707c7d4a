"""What works by old settings is cut off when there are new ones, and nothing else is."""

import asyncio

import pytest

from producer_tools.client.renewal import Renewal


async def test_every_block_under_way_ends() -> None:
    """What follows it comes next; a block that begins later isn't concerned."""
    renewal, ended = Renewal(), []

    async def work(name: str) -> None:
        async with renewal.ends():
            await asyncio.Event().wait()
        ended.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("a"))
        tasks.create_task(work("b"))
        await asyncio.sleep(0)
        renewal.announce()
    assert {"a", "b"} == set(ended)
    async with renewal.ends():
        ended.append("c")
    assert "c" == ended[-1]


async def test_a_timeout_of_the_block_is_its_own() -> None:
    renewal = Renewal()
    with pytest.raises(TimeoutError):
        async with renewal.ends():
            raise TimeoutError


async def test_a_block_may_be_told_twice() -> None:
    """Two files may change one after the other."""
    renewal = Renewal()
    async with renewal.ends():
        renewal.announce()
        renewal.announce()
        await asyncio.Event().wait()


async def test_a_block_that_is_cancelled_is_cancelled() -> None:
    renewal = Renewal()

    async def work() -> None:
        async with renewal.ends():
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
