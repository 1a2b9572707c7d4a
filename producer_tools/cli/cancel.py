"""`maskline cancel`: ends jobs, also those that have begun."""

from typing import Annotated

import typer

from consumer.settings import KafkaSettings, LineSettings, load
from producer_tools.cancelling import Verdict, cancel_records
from producer_tools.cli.output import Format, FormatOption, Row, print_message, write_rows
from producer_tools.cli.running import JOB_FAILED, WRONG_USAGE, run, up_to_date_view
from producer_tools.view.queries import Queries
from producer_tools.view.rows import Row as Record

app = typer.Typer(add_completion=False)


@app.command()
def cancel_jobs(
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB…", help="The jobs.", show_default=False)
    ] = None,
    batch: Annotated[str | None, typer.Option(help="All jobs of this batch.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who ask later.")] = None,
    output: FormatOption = Format.table,
) -> None:
    """Cancel jobs, or a batch. A job that has begun is ended, too."""
    if bool(jobs) == bool(batch):
        raise typer.BadParameter("name jobs, or a batch with --batch")
    run(_cancel(jobs or [], batch, reason, output))


async def _cancel(jobs: list[str], batch: str | None, reason: str | None, output: Format) -> int:
    def find(queries: Queries) -> list[Record]:
        if batch is not None:
            return queries.batch_records(batch)
        stories = (queries.job(job) for job in dict.fromkeys(jobs))
        return [story.row for story in stories if story is not None]

    async with up_to_date_view() as view:
        records = await view.ask(find)
        missing = [batch] if batch and not records else []
        missing += sorted(set(jobs) - {record.job_id for record in records})
        if missing:
            print_message(
                f"maskline cancel: there is no {', '.join(missing)} among the jobs of the last 7"
                " days. Nothing was cancelled"
            )
            return WRONG_USAGE
        verdicts = await cancel_records(
            load(KafkaSettings),
            view,
            records,
            reason=reason,
            max_in_flight=load(LineSettings).max_in_flight,
        )
    rows: list[Row] = [
        {"job": verdict.record.job_id, "result": verdict.result, "was": verdict.was}
        for verdict in verdicts
    ]
    write_rows(("job", "result", "was"), rows, output)
    return _exit_code(verdicts)


def _exit_code(verdicts: list[Verdict]) -> int:
    return (
        0
        if all(verdict.result in ("cancelled", "cancelling") for verdict in verdicts)
        else (JOB_FAILED)
    )
