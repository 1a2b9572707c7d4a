"""`maskline jobs`: lists jobs, the newest first."""

from collections.abc import Mapping
from typing import Annotated

import typer

from producer_tools.cli.job_rows import LIST_COLUMNS, list_rows
from producer_tools.cli.output import Format, FormatOption, print_message, write_rows
from producer_tools.cli.running import run, up_to_date_view
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown

app = typer.Typer(add_completion=False)
_STATES = ", ".join(state.name.lower() for state in Shown)


@app.command()
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option(help=f"Jobs in this state alone: {_STATES}.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    output: FormatOption = Format.table,
) -> None:
    """List the jobs of the last 7 days, the newest first."""
    run(_list([_state(name) for name in state or [each.name for each in Shown]], limit, output))


def _state(name: str) -> Shown:
    try:
        return Shown[name.upper()]
    except KeyError:
        raise typer.BadParameter(f"{name!r} is none of {_STATES}") from None


async def _list(states: list[Shown], limit: int, output: Format) -> int:
    def ask(queries: Queries) -> tuple[int, list[Mapping[str, object]]]:
        page = queries.page(states, limit=limit)
        return page.total, list_rows(queries, list(page.rows))

    async with up_to_date_view() as view:
        total, rows = await view.ask(ask)
    write_rows(LIST_COLUMNS, rows, output)
    print_message(f"{len(rows)} of {total} jobs")
    return 0
