"""`maskline stats`: how the line is doing."""

import time

import typer

from consumer.settings import KafkaSettings, load
from producer_tools.cli.job_rows import moment
from producer_tools.cli.output import Format, FormatOption, Row, write_rows
from producer_tools.cli.running import run, up_to_date_view
from producer_tools.client.line import group_members, halted_behind
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown

app = typer.Typer(add_completion=False)
_RATE_SECONDS = 60


@app.command()
def show_stats(output: FormatOption = Format.table) -> None:
    """Show how many jobs wait, how fast they end, who works on them, and what is held."""
    run(_show(output))


async def _show(output: Format) -> int:
    async with up_to_date_view() as view:
        facts = await view.ask(_facts)
    settings = load(KafkaSettings)
    facts["members"] = await group_members(settings)
    halted_after = await halted_behind(settings)
    facts["halted"] = None if halted_after is None else f"behind offset {halted_after}"
    if output is Format.table:
        rows: list[Row] = [
            {"fact": name, "value": "" if value is None else str(value)}
            for name, value in facts.items()
        ]
        write_rows(("fact", "value"), rows, output)
    else:
        write_rows((), [facts], output)
    return 0


def _facts(queries: Queries) -> dict[str, object]:
    totals = queries.totals()
    now = int(time.time() * 1000)
    ended = queries.ended_before(now) - queries.ended_before(now - _RATE_SECONDS * 1000)
    rate = ended / _RATE_SECONDS
    first = queries.first_begun()
    held = queries.record(first.offset) if first and first.shown is Shown.RETRYING else None
    return {
        "lag": totals.unsettled,
        **{shown.name.lower(): n for shown, n in totals.records.items()},
        "jobs_per_second": round(rate, 2),
        "seconds_to_empty": round(totals.unsettled / rate) if rate else None,
        "last_settled": moment(totals.last_settled_ms),
        "current_job": first.job_id if first else None,
        "held": held and held.error and f"{held.error[0]}: {held.error[1]}",
    }
