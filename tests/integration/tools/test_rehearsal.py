"""The job of `helm test`: it goes through a real line, and nothing comes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer_tools import rehearsal
from producer_tools.rehearsal import rehearse
from tests.integration.tools.conftest import ToolLine
from tests.support.bench import Bench
from tests.support.line_names import LineNames
from tests.support.models import write_trivial_body_model

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(tool_line: ToolLine, line: LineNames, tmp_path: Path) -> Iterator[Bench]:
    """Real consumers of the test's line."""
    write_trivial_body_model(tmp_path)
    bench = Bench(tool_line.stack, line, tmp_path)
    yield bench
    bench.stop()


async def test_it_is_cancelled_before_it_begins(tool_line: ToolLine, bench: Bench) -> None:
    """One terminal event, no start, no dead letter: its photo, which isn't there, isn't missed."""
    await bench.start().until_ready()
    said, code = await rehearse(tool_line.kafka, tool_line.s3, seconds=30)
    assert "was cancelled, as it was to be" in said
    assert code == 0
    events = await tool_line.records(tool_line.kafka.status_topic)
    assert [b"maskline.job.cancelled.v1"] == [dict(e.headers)["ce_type"] for e in events]
    assert [] == await tool_line.records(tool_line.kafka.dead_letter_topic)


async def test_a_line_far_behind_is_left_alone(
    tool_line: ToolLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "FAR_BEHIND", 2)
    for number in range(3):
        await tool_line.job(f"j{number}")
    said, code = await rehearse(tool_line.kafka, tool_line.s3, seconds=1)
    assert ("The line has 3 jobs before it, too many to wait: nothing was submitted", 0) == (
        said,
        code,
    )
    assert 3 == len(await tool_line.records(tool_line.kafka.jobs_topic))


async def test_a_line_without_consumers_is_said(tool_line: ToolLine) -> None:
    said, code = await rehearse(tool_line.kafka, tool_line.s3, seconds=1)
    assert "hasn't ended in 1 s, with 0 consumers in the line's group" in said
    assert code == 5
