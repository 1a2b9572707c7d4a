"""Processes that share a view: all go on when the one that folds ends, or the file goes."""

import asyncio
from pathlib import Path

import pytest

from producer_tools.errors import ViewError
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.refusal import Refused
from producer_tools.view.folder import Folder
from producer_tools.view.queries import Queries
from producer_tools.view.view import SharedView
from tests.integration.tools.conftest import ToolLine

pytestmark = pytest.mark.integration

WAITING = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The view's file. Neither it nor its folder is there yet."""
    return tmp_path / "view" / "view.db"


async def test_all_who_wait_go_on_when_the_folding_process_ends(
    tool_line: ToolLine, path: Path
) -> None:
    """Questions, waits and the one that follows: one of them opens the next view for all."""
    async with Folder(tool_line.kafka, path) as folder, SharedView(tool_line.kafka, path) as shared:
        offset = await tool_line.job("a")
        following = asyncio.create_task(shared.follow())
        waits = [
            asyncio.create_task(shared.reach(tool_line.kafka.jobs_topic, offset + 1))
            for _ in range(WAITING)
        ]
        done, _ = await asyncio.wait([following, *waits], timeout=0.2)
        assert done == set()  # nobody folds
        await folder.__aexit__()
        async with asyncio.timeout(30):
            await asyncio.gather(*waits)
            story = await shared.ask(lambda queries: queries.record(offset))
        assert story is not None
        assert not following.done()
        following.cancel()
        await asyncio.wait([following])


async def test_a_view_that_was_closed_stays_closed(tool_line: ToolLine, path: Path) -> None:
    async with SharedView(tool_line.kafka, path) as shared:
        pass
    with pytest.raises(ViewError, match="is closed"):
        await shared.catch_up()
    async with Folder(tool_line.kafka, path):
        pass  # it is nobody's


async def test_a_file_that_was_removed_is_built_anew(tool_line: ToolLine, path: Path) -> None:
    """Under a gateway's feet: it says so, and has all again."""
    await tool_line.job("a")
    keeper = Keeper(tool_line.kafka, path)
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(30):
            await _until_ready(keeper)
            for file in path.parent.iterdir():
                file.unlink()
            second = await tool_line.job("b")
            while not path.exists():  # noqa: ASYNC110, ASYNC240  # the keeper makes it
                await asyncio.sleep(0.02)
            await _catch_up(keeper)
            positions = await keeper.ask(Queries.positions)
            stories = await keeper.ask(lambda queries: [queries.job("a"), queries.job("b")])
        assert positions[tool_line.kafka.jobs_topic] == second + 1
        assert None not in stories
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_gateway_whose_view_is_another_lines_says_so(
    tool_line: ToolLine, path: Path
) -> None:
    """In one sentence, for as long as it is so; then it goes on."""
    other = tool_line.kafka.model_copy(update={"consumer_group": "another"})
    async with Folder(tool_line.kafka, path):
        keeper = Keeper(other, path)
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(30):
            while "another line" not in (keeper.problem or ""):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(30):
            await _until_ready(keeper)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _catch_up(keeper: Keeper) -> None:
    while True:
        try:
            return await keeper.catch_up()
        except Refused:  # it is being built
            await asyncio.sleep(0.02)


async def _until_ready(keeper: Keeper) -> None:
    while keeper.problem is not None:  # noqa: ASYNC110  # it has no event for that
        await asyncio.sleep(0.02)
