"""`maskline status`: a job's whole story."""

import json
from typing import Annotated

import typer

from producer_tools.cli.job_rows import whole_story
from producer_tools.cli.output import Format, FormatOption, Row, print_message, write_rows
from producer_tools.cli.running import WRONG_USAGE, run, up_to_date_view
from producer_tools.view.queries import Queries

app = typer.Typer(add_completion=False)


@app.command()
def show_status(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    output: FormatOption = Format.table,
) -> None:
    """Tell a job's whole story: its state, attempts, stage times, error and stored keys."""
    run(_show(job, output))


async def _show(job: str, output: Format) -> int:
    def ask(queries: Queries) -> dict[str, object] | None:
        story = queries.job(job)
        return None if story is None else whole_story(queries, story)

    async with up_to_date_view() as view:
        facts = await view.ask(ask)
    if facts is None:
        print_message(
            f"maskline status: there is no job {job} among those of the last 7 days."
            " `maskline jobs` lists them"
        )
        return WRONG_USAGE
    if output is Format.table:
        rows: list[Row] = [
            {"fact": name, "value": value if isinstance(value, str) else json.dumps(value)}
            for name, value in _flat(facts).items()
        ]
        write_rows(("fact", "value"), rows, output)
    else:
        write_rows((), [facts], output)
    return 0


def _flat(facts: dict[str, object]) -> dict[str, object]:
    """Leave out what isn't known, and give each stage and each output a line of its own."""
    flat: dict[str, object] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items() if inner is not None}
        elif value is not None:
            flat[name] = value
    return flat
