"""`maskline status` answers at once from a view that is warm."""

import asyncio
import json
from pathlib import Path

import pytest

from producer_tools.view.folder import Folder
from tests.integration.tools.conftest import ToolLine, job_json
from tests.support.timed import timed_maskline

pytestmark = pytest.mark.integration

JOBS = 2000
MOST_SECONDS = 1.5


async def test_a_status_takes_less_than_a_second_and_a_half(
    tool_line: ToolLine, tmp_path: Path
) -> None:
    """Of processors, which other work on this machine lengthens least; `make bench` has the clock.

    Folding the records anew would take longer than that.
    """
    path = tmp_path / "view" / "view.db"
    for number in range(JOBS):
        await tool_line.producer.send(tool_line.kafka.jobs_topic, job_json(f"j{number}"))
    await tool_line.producer.flush()
    async with Folder(tool_line.kafka, path) as folder:
        await folder.catch_up()
    runs = [
        await asyncio.to_thread(
            timed_maskline,
            *("status", f"j{number}", "--format", "jsonl"),
            environment={"VIEW_FILE": str(path)},
        )
        for number in (0, 1000, 1999)
    ]
    assert ["j0", "j1000", "j1999"] == [json.loads(ran.out)["job"] for ran in runs]
    assert min(ran.processor_seconds for ran in runs) < MOST_SECONDS
