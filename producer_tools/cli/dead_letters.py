"""`maskline dead-letters`: lists and shows dead letters, and puts them back onto the jobs topic."""

from collections import Counter
from contextlib import AsyncExitStack, aclosing
from typing import Annotated

import typer

from consumer.kafka.reader import AnyRecord
from consumer.kafka.rights import to_read, to_transact, to_write
from consumer.settings import KafkaSettings, S3Settings, load
from producer_tools.cli.output import Format, FormatOption, Row, print_message, write_rows
from producer_tools.cli.reading import reading
from producer_tools.cli.running import WRONG_USAGE, run
from producer_tools.client.copier import Copier
from producer_tools.client.line import end_of_all, find_line
from producer_tools.redrive.letters import Letter, Wanted, read_letters
from producer_tools.redrive.photos import Photos
from producer_tools.redrive.plan import PHOTO_GONE, Plan
from producer_tools.redrive.redrive import Redrive, transactional_id
from schemas.message import INT64_MAX
from schemas.timestamp import timestamp_text

app = typer.Typer(no_args_is_help=True, help="The line's dead letters.")

CodeOption = Annotated[
    list[str] | None, typer.Option("--code", help="Those with this error code. May be repeated.")
]
JobOption = Annotated[
    list[str] | None, typer.Option("--job", help="Those of this job. May be repeated.")
]
FromOption = Annotated[
    int, typer.Option("--from-offset", min=0, help="From this offset of the dead-letter topic on.")
]
ToOption = Annotated[
    int | None,
    typer.Option("--to-offset", min=0, help="Up to this offset, which is not included."),
]
_COLUMNS = ("offset", "code", "job", "failed", "record", "message")
_LONGEST_VALUE = 4000


@app.command("list")
def list_letters(
    code: CodeOption = None,
    job: JobOption = None,
    from_offset: FromOption = 0,
    to_offset: ToOption = None,
    output: FormatOption = Format.table,
) -> None:
    """List dead letters: how many of each code, then each of them, the oldest first."""
    run(_list(_wanted(code, job, from_offset, to_offset), output))


@app.command("show")
def show_letters(
    offsets: Annotated[
        list[int] | None,
        typer.Argument(metavar="[OFFSET…]", help="At these offsets of the dead-letter topic."),
    ] = None,
    code: CodeOption = None,
    job: JobOption = None,
    from_offset: FromOption = 0,
    to_offset: ToOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Show all that dead letters say: why each failed, its headers and its value."""
    run(_show(_wanted(code, job, from_offset, to_offset), frozenset(offsets or ()), output))


@app.command("redrive")
def redrive_letters(
    code: CodeOption = None,
    job: JobOption = None,
    from_offset: FromOption = 0,
    to_offset: ToOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were redriven already.")
    ] = False,
    execute: Annotated[
        bool, typer.Option("--execute/--dry-run", help="Do it, or say what would be done.")
    ] = False,
    output: FormatOption = Format.table,
) -> None:
    """Put dead letters back onto the jobs topic, as they arrived, each once.

    Left out are those that were redriven already and, unless --code names it, invalid_message.
    """
    wanted = _wanted(code, job, from_offset, to_offset)
    run(_redrive(wanted, again=again, execute=execute, output=output))


def _wanted(
    codes: list[str] | None, jobs: list[str] | None, from_offset: int, to_offset: int | None
) -> Wanted:
    end = INT64_MAX if to_offset is None else to_offset
    if end < from_offset:
        raise typer.BadParameter(f"--to-offset {end} lies before --from-offset {from_offset}")
    return Wanted(
        codes=frozenset(codes or ()), jobs=frozenset(jobs or ()), offsets=range(from_offset, end)
    )


async def _list(wanted: Wanted, output: Format) -> int:
    letters = [letter for letter, _ in await _read(wanted, frozenset())]
    counts = Counter(letter.code for letter in letters)
    if output is Format.table:
        rows: list[Row] = [{"code": code, "count": n} for code, n in counts.most_common()]
        write_rows(("code", "count"), rows, output)
        if rows:
            print()
    else:
        print_message(", ".join(f"{n} {code}" for code, n in counts.most_common()))
    write_rows(_COLUMNS, [_row(letter) for letter in letters], output)
    if not letters:
        print_message("there is no such dead letter")
    return 0


async def _show(wanted: Wanted, offsets: frozenset[int], output: Format) -> int:
    found = await _read(wanted, offsets, with_values=True)
    missing = offsets - {letter.offset for letter, _ in found}
    if missing or not found:
        which = ", ".join(map(str, sorted(missing)))
        print_message(f"maskline dead-letters show: there is none{which and f' at offset {which}'}")
        return WRONG_USAGE
    rows = [{**_row(letter), **_content(record)} for letter, record in found if record is not None]
    if output is not Format.table:
        write_rows((), rows, output)
        return 0
    for row in rows:
        facts: list[Row] = [
            {"fact": name, "value": value if isinstance(value, str) else _text(value)}
            for name, value in row.items()
        ]
        write_rows(("fact", "value"), facts, output)
        print()
    return 0


async def _read(
    wanted: Wanted, offsets: frozenset[int], *, with_values: bool = False
) -> list[tuple[Letter, "AnyRecord | None"]]:
    settings = load(KafkaSettings)
    topic = settings.dead_letter_topic
    await find_line(settings, to_read(topic))
    end = min(wanted.offsets.stop, await end_of_all(settings, topic))
    found: list[tuple[Letter, AnyRecord | None]] = []
    with reading() as show:
        letters = read_letters(
            settings, range(wanted.offsets.start, end), progress=show("dead letters")
        )
        async with aclosing(letters):
            async for letter, record in letters:
                if wanted.covers(letter) and (not offsets or letter.offset in offsets):
                    found.append((letter, record if with_values else None))
    return found


async def _redrive(wanted: Wanted, *, again: bool, execute: bool, output: Format) -> int:
    settings, photos = load(KafkaSettings), Photos()
    async with AsyncExitStack() as opened:
        copier = None
        if execute:  # before all else: what an earlier one has in the air is over then
            own = transactional_id(settings)
            await find_line(
                settings,
                (
                    *to_read(settings.jobs_topic, settings.dead_letter_topic),
                    *to_write(settings.jobs_topic),
                    *to_transact(own),
                ),
            )
            copier = await opened.enter_async_context(Copier(settings, own))
        with reading() as show:
            redrive = Redrive(settings, load(S3Settings), wanted, again, show, photos)
            plan, known = await redrive.plan()
            if copier is not None:
                done = show("redriven", total=len(plan.letters))
                await redrive.run(copier, plan, known, done)
    write_rows(("offset", "code", "job", "result"), _results(plan, execute=execute), output)
    _say(plan, photos, execute=execute)
    return 0


def _results(plan: Plan, *, execute: bool) -> list[Row]:
    result = "redriven" if execute else "would be redriven"
    taken = [(letter, result) for letter in plan.letters]
    left = [(letter, f"left out: {reason}") for letter, reason in plan.left_out]
    return [
        {**_row(letter), "result": result}
        for letter, result in sorted(taken + left, key=lambda each: each[0].offset)
    ]


def _say(plan: Plan, photos: Photos, *, execute: bool) -> None:
    """Say how many, from when to when, and how many are left out and why."""
    count = len(plan.letters)
    moments = [each.failed_at for each in plan.letters if each.failed_at is not None]
    when = (
        f", failed from {timestamp_text(min(moments))} to {timestamp_text(max(moments))}"
        if moments
        else ""
    )
    print_message(f"{count} {'redriven' if execute else 'to redrive'}{when}")
    for reason, n in plan.reasons.most_common():
        print_message(f"{n} left out: {reason}")
    gone = [letter for letter, reason in plan.left_out if reason == PHOTO_GONE]
    for letter in gone:
        print_message(f"  {letter.job_id}: {letter.image} is gone")
    if photos.unasked is not None:
        print_message(f"whether photos are still there isn't known: {photos.unasked}")
    if count and not execute:
        print_message("This was a dry run: nothing was written. --execute does it")


def _row(letter: Letter) -> dict[str, object]:
    source = letter.source
    return {
        "offset": letter.offset,
        "code": letter.code,
        "job": letter.job_id,
        "failed": None if letter.failed_at is None else timestamp_text(letter.failed_at),
        "record": source and f"{source.topic}/{source.partition}/{source.offset}",
        "message": letter.message,
        "image": None if letter.image is None else str(letter.image),
        "value_omitted": letter.omitted,
        "redrives": letter.redrives,
    }


def _content(record: AnyRecord) -> dict[str, object]:
    return {
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "headers": [
            [name, None if value is None else value.decode(errors="replace")]
            for name, value in record.headers
        ],
        "value": (
            None if record.value is None else record.value[:_LONGEST_VALUE].decode(errors="replace")
        ),
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(f"{name}: {'' if text is None else text}" for name, text in value)
    return "" if value is None else str(value)
