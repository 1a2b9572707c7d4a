"""`maskline watch`: shows what happens, as it happens."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from consumer.settings import KafkaSettings, load
from producer_tools.cli.output import Format, FormatOption, print_message, progress_bar
from producer_tools.cli.running import JOB_FAILED, WRONG_USAGE, run, up_to_date_view
from producer_tools.client.following import follow
from producer_tools.view.batches import BatchRow
from producer_tools.view.queries import Queries
from producer_tools.view.tables import Shown
from schemas.status import TERMINAL_STATES, StatusEvent
from schemas.timestamp import timestamp_text

app = typer.Typer(add_completion=False)
_LOOK_SECONDS = 0.5


@app.command()
def watch_jobs(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="This job alone.")] = None,
    batch: Annotated[str | None, typer.Option(help="This batch alone, until it ends.")] = None,
    output: FormatOption = Format.table,
) -> None:
    """Show events as they come: of all jobs until Ctrl-C, or of one job or batch until it ends.

    With --format json or jsonl each event is a line of JSON.
    """
    if batch is not None and job is not None:
        raise typer.BadParameter("name a job, or a batch with --batch")
    if batch is not None:
        run(_watch_batch(batch))
    elif job is not None:
        run(_watch_job(job, output))
    else:
        run(_watch_all(output))


async def _watch_all(output: Format) -> int:
    async for followed in follow(load(KafkaSettings)):
        _print_event(followed.event, output)
    return 0


async def _watch_job(job: str, output: Format) -> int:
    settings = load(KafkaSettings)
    async with up_to_date_view() as view:
        story = await view.ask(lambda queries: queries.job(job))
        start = (await view.ask(Queries.positions)).get(settings.status_topic, 0)
    if story is None:
        print_message(f"maskline watch: there is no job {job} among those of the last 7 days")
        return WRONG_USAGE
    if story.event is not None:
        _print_event(story.event, output)
    if story.row.settled:
        return _exit_code(story.row.shown)
    print_message(f"{job} is {story.row.shown.name.lower()}")
    events = follow(settings, from_offset=start)
    async with aclosing(events):
        async for followed in events:
            event = followed.event
            if event.source.offset == story.row.offset:
                _print_event(event, output)
            if event.state in TERMINAL_STATES and event.source.offset >= story.row.offset:
                return _exit_code(Shown[event.state.upper()])
    return JOB_FAILED


async def _watch_batch(batch_id: str) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    async with up_to_date_view() as view:
        with progress_bar(*columns, TimeElapsedColumn()) as bar:
            task = bar.add_task(batch_id, total=None)
            while True:
                batch = await view.ask(lambda queries: queries.batch(batch_id))
                if batch is None:
                    print_message(f"maskline watch: there is no batch {batch_id}")
                    return WRONG_USAGE
                ended = sum(batch.counts[Shown.COMPLETED :])
                bar.update(task, completed=ended, total=batch.size)
                if batch.shown.ended:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
                await view.catch_up()
    print_message(_counts(batch))
    return 0 if batch.counts[Shown.COMPLETED] >= batch.size else JOB_FAILED


def _counts(batch: BatchRow) -> str:
    counts = {state.name.lower(): n for state, n in zip(Shown, batch.counts, strict=True) if n}
    if batch.missing:
        counts["never came"] = batch.missing
    return f"{batch.batch_id}: " + ", ".join(f"{n} {name}" for name, n in counts.items())


def _exit_code(shown: Shown) -> int:
    return 0 if shown is Shown.COMPLETED else JOB_FAILED


def _print_event(event: StatusEvent, output: Format) -> None:
    if output is not Format.table:
        print(event.write().decode(), flush=True)
        return
    error = f"  {event.error.code}: {event.error.message}" if event.error else ""
    name = event.job_id or f"record {event.source.offset}"
    print(f"{timestamp_text(event.occurred_at)}  {event.state:<10}  {name}{error}", flush=True)
