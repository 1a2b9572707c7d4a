"""`maskline submit`: submits photos, alone or as a batch, and waits for them if asked to."""

import asyncio
import json
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from consumer.settings import ImageSettings, KafkaSettings, S3Settings, TracingSettings, load
from consumer.telemetry.traces import open_tracing
from producer_tools.cli import batch_plan, running
from producer_tools.cli.given import Given, find_photos
from producer_tools.cli.output import (
    Format,
    FormatOption,
    print_message,
    progress_bar,
    write_rows,
)
from producer_tools.cli.submission import Sending, Submission
from producer_tools.client.client import Client
from producer_tools.client.new_job import NewJob
from producer_tools.errors import ToolError
from producer_tools.view.queries import Queries
from schemas.job import OUTPUTS, Batch, OutputName
from schemas.status import TERMINAL_STATES

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    given: Sequence[Given]
    user: str
    model: str | None
    outputs: Sequence[OutputName] | None
    batch: str | None
    wait: bool
    timeout: float | None
    sheet: Path | None
    output: Format


@app.command()
def submit_photos(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO|FOLDER|S3-URI…", help="Files, folders of photos, s3://…"),
    ],
    user: Annotated[str, typer.Option(help="The user whose photos they are.")] = "maskline",
    model: Annotated[str | None, typer.Option(help="A model of the catalog.")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", help="An output to make; may be repeated.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(help="Submit all as one batch. The same command goes on where it stopped."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all jobs have ended.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds that all may take. Then exit 5.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Wait, and draw photos and masks to this PNG."),
    ] = None,
    output: FormatOption = Format.table,
) -> None:
    """Submit photos: upload them, and append a job for each, in the order given."""
    given, problems = find_photos(photos, max_bytes=load(ImageSettings).max_image_bytes)
    for problem in problems:
        print_message(f"left out: {problem}")
    if not given:
        print_message("maskline submit: there is no photo to submit")
        raise typer.Exit(running.WRONG_USAGE)
    running.run(
        _submit(
            Order(
                given=given,
                user=user,
                model=model,
                outputs=_outputs(outputs),
                batch=batch,
                wait=wait or sheet is not None,
                timeout=timeout,
                sheet=sheet,
                output=output,
            )
        )
    )


def _outputs(names: Sequence[str] | None) -> tuple[OutputName, ...] | None:
    if unknown := set(names or ()) - set(OUTPUTS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is none of {', '.join(OUTPUTS)}")
    return tuple(name for name in OUTPUTS if name in names) if names else None


async def _submit(order: Order) -> int:
    sendings = [_sending(order, index, given) for index, given in enumerate(order.given)]
    follow_from = None
    if order.batch is not None:
        batch_plan.check_name(order.batch, len(sendings))
        follow_from = await _note_earlier(order, order.batch, sendings)
    try:
        return await _run(order, sendings, follow_from)
    except ToolError:
        _say_what_was_sent(order, sendings)
        raise


def _sending(order: Order, index: int, given: Given) -> Sending:
    batch = None
    if order.batch is not None:
        batch = Batch(batch_id=order.batch, index=index, size=len(order.given))
    job = NewJob(
        photo=given.photo,
        user_id=order.user,
        job_id=f"{order.batch}:{index}" if order.batch else str(uuid.uuid4()),
        model=order.model,
        outputs=order.outputs,
        batch=batch,
        metadata={"filename": given.name},
    )
    return Sending(given, job)


async def _note_earlier(order: Order, batch: str, sendings: Sequence[Sending]) -> int:
    """Note which jobs of the batch were sent before; return where their events may begin."""
    async with running.up_to_date_view() as view:
        earlier = await view.ask(lambda queries: batch_plan.find_earlier(queries, batch))
        positions = await view.ask(Queries.positions)
    batch_plan.check_same(batch, order.given, earlier)
    for index, story in earlier.items():
        batch_plan.note_earlier(sendings[index], story)
    if earlier:
        print_message(f"{len(earlier)} of {len(sendings)} jobs of {batch} were sent before")
    return positions.get(load(KafkaSettings).status_topic, 0)


async def _run(order: Order, sendings: Sequence[Sending], follow_from: int | None) -> int:
    kafka = load(KafkaSettings)
    tracing = open_tracing(load(TracingSettings), kafka)
    with _shown(order, sendings) as (on_sent, on_ended):
        submission = Submission(sendings, on_sent=on_sent, on_ended=on_ended)
        timed_out = False
        try:
            async with asyncio.timeout(order.timeout):
                with _interruptible(submission):
                    async with Client(kafka, load(S3Settings), tracing=tracing) as client:
                        await submission.run(client, follow_from=follow_from, wait=order.wait)
        except TimeoutError:
            timed_out = True
        finally:
            tracing.close()
    _write_table(order, sendings)
    if submission.stopped or timed_out:
        _say_what_was_sent(order, sendings)
        return running.TIMED_OUT if timed_out else running.INTERRUPTED
    if order.sheet is not None:
        await _draw_sheet(order.sheet, sendings)
    return _end(order, sendings)


def _end(order: Order, sendings: Sequence[Sending]) -> int:
    if not order.wait:
        print_message(f"{len(sendings)} jobs sent")
        return 0
    counts = Counter(str(sending.state) for sending in sendings)
    print_message(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    return 0 if counts["completed"] == len(sendings) else running.JOB_FAILED


@contextmanager
def _interruptible(submission: Submission) -> Iterator[None]:
    """Let Ctrl-C end the submission in order. A second one ends it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if submission.stopped and task is not None:
            task.cancel()
        submission.stop()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


Shown = tuple[Callable[[Sending], None], Callable[[Sending], None]]


@contextmanager
def _shown(order: Order, sendings: Sequence[Sending]) -> Iterator[Shown]:
    """Show what happens: one bar on a terminal, and JSON lines as they come.

    The bar begins with what was sent before.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with progress_bar(*columns, TimeElapsedColumn()) as bar:
        sent, ended = sum(sending.offset is not None for sending in sendings), 0
        begin = 0 if order.wait else sent
        task = bar.add_task("photos sent", total=len(sendings), completed=begin)

        def on_sent(sending: Sending) -> None:
            nonlocal sent
            sent += 1
            _line(sending, now=not order.wait)
            if order.wait:
                bar.update(task, description=f"{sent} sent, done")
            else:
                bar.update(task, completed=sent)

        def on_ended(sending: Sending) -> None:
            nonlocal ended
            ended += 1
            _line(sending, now=order.wait)
            if order.wait:
                bar.update(task, completed=ended)

        def _line(sending: Sending, *, now: bool) -> None:
            if now and order.output is Format.jsonl:
                print(json.dumps(sending.row()), flush=True)

        yield on_sent, on_ended


def _write_table(order: Order, sendings: Sequence[Sending]) -> None:
    rows = [sending.row() for sending in sendings if sending.offset is not None]
    if order.output is not Format.jsonl:  # the lines have been written
        write_rows(("job", "photo", "offset", "state", "error"), rows, order.output)


def _say_what_was_sent(order: Order, sendings: Sequence[Sending]) -> None:
    sent = sum(sending.offset is not None for sending in sendings)
    ended = sum(sending.state in TERMINAL_STATES for sending in sendings)
    print_message(f"{sent} of {len(sendings)} jobs were sent, and {ended} of them have ended.")
    if order.batch is not None and sent < len(sendings):
        print_message("The same command goes on where it stopped.")


async def _draw_sheet(file: Path, sendings: Sequence[Sending]) -> None:
    from producer_tools.cli.sheet import draw_sheet  # it loads Pillow

    await draw_sheet(file, sendings)
