"""Cancels against a real consumer: what is said to be cancelled is, and the line goes on."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from consumer.settings import KafkaSettings
from producer_tools.cancelling import Verdict, cancel_records
from producer_tools.client.cancels import write_cancels
from producer_tools.view.view import SharedView
from tests.integration.tools.conftest import ToolLine
from tests.support.bench import Bench

pytestmark = pytest.mark.integration

IN_FLIGHT = 16


async def cancel(kafka: KafkaSettings, view: SharedView, *jobs: str) -> list[Verdict]:
    """Cancel jobs, and return what is said of them."""
    await view.catch_up()
    records = await view.ask(
        lambda queries: [story.row for job in jobs if (story := queries.job(job)) is not None]
    )
    return await cancel_records(kafka, view, records, max_in_flight=IN_FLIGHT)


async def test_queued_jobs_are_cancelled_while_no_consumer_is_there(
    tool_line: ToolLine, bench: Bench, tmp_path: Path
) -> None:
    """Their photos aren't fetched: there are none, and fetching them would fail the jobs."""
    photo = bench.put_photo(f"{bench.line.group}.png")
    cancelled = {0, 49, *range(5, 23)}
    for number in range(50):
        image = f"s3://mask-uploads/absent-{number}" if number in cancelled else photo
        await tool_line.job(f"j{number}", image=image)
    async with SharedView(tool_line.kafka, tmp_path / "view" / "view.db") as view:
        names = [f"j{number}" for number in sorted(cancelled)]
        verdicts = await cancel(tool_line.kafka, view, *names)
        assert {"cancelled"} == {verdict.result for verdict in verdicts}
        totals = await view.ask(lambda queries: queries.totals())
        assert 30 == totals.unsettled
        bench.start()
        events = await bench.terminal_events(50)
        assert list(range(50)) == [event["source"]["offset"] for event in events]
        for number, event in enumerate(events):
            assert ("cancelled" if number in cancelled else "completed") == event["state"]
        await view.catch_up()
        again = await cancel(tool_line.kafka, view, "j1", "j0")
        assert ["completed", "cancelled"] == [verdict.result for verdict in again]


async def test_three_hundred_cancels_at_a_running_line(
    tool_line: ToolLine, bench: Bench, tmp_path: Path
) -> None:
    """Some twice, some at once: the line goes on, and each job ends once, as was said."""
    photo = bench.put_photo(f"{bench.line.group}.png")
    for number in range(400):
        await tool_line.job(f"j{number}", image=photo)
    bench.start()
    asked = [f"j{number % 200 * 2}" for number in range(300)]
    async with SharedView(tool_line.kafka, tmp_path / "view" / "view.db") as view:
        one, rest = asked[0], asked[1:]
        said = await cancel(tool_line.kafka, view, one)
        for first in range(0, len(rest), 60):
            await asyncio.gather(
                *(
                    write_cancels(tool_line.kafka, rest[at : at + 20])
                    for at in range(first, first + 60, 20)
                    if rest[at : at + 20]
                )
            )
        await tool_line.job("last", image=photo)
        events = await bench.terminal_events(401)
    assert list(range(401)) == [event["source"]["offset"] for event in events]
    states = {event["job_id"]: event["state"] for event in events}
    assert {"completed", "cancelled"} >= set(states.values())
    assert "completed" == states["last"]
    assert all(states[f"j{number}"] == "completed" for number in range(1, 400, 2))
    assert said[0].result in ("cancelling", states[one])
    assert Counter(states.values())["cancelled"] >= 1
