"""`maskline replay`: does records again, as jobs of their own behind those that are there."""

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from consumer.kafka.rights import Right, to_ask_group, to_read, to_transact, to_write
from consumer.settings import KafkaSettings, load
from producer_tools.cli.job_rows import moment
from producer_tools.cli.output import Format, FormatOption, Row, print_message, write_rows
from producer_tools.cli.reading import Show, reading
from producer_tools.cli.running import run, up_to_date_view
from producer_tools.client.copier import Copier
from producer_tools.client.line import end_of_all, find_line, settled_before
from producer_tools.replay.pace import STALLED_SECONDS, Pace
from producer_tools.replay.plan import Plan, plan_replay
from producer_tools.replay.replay import Replay
from producer_tools.replay.selection import Selection, before_now, find_offsets, read_time
from producer_tools.view.tables import Shown
from schemas.replay import check_replay_id, copier_id, run_group

app = typer.Typer(add_completion=False)
T = TypeVar("T")
_STATES = ", ".join(state.name.lower() for state in Shown if state.ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    selection: Selection
    replay_id: str | None
    model: str | None
    max_waiting: int
    output: Format


@app.command()
def replay_records(
    from_offset: Annotated[int | None, typer.Option(min=0, help="From this offset on.")] = None,
    to_offset: Annotated[
        int | None, typer.Option(min=0, help="Up to this offset, which is not included.")
    ] = None,
    from_datetime: Annotated[
        str | None, typer.Option(help="From this time on, in ISO 8601; UTC without a zone.")
    ] = None,
    to_datetime: Annotated[
        str | None, typer.Option(help="Up to this time, which is not included.")
    ] = None,
    by_duration: Annotated[
        str | None, typer.Option(help="From so long ago on: P1D is a day, PT6H six hours.")
    ] = None,
    job: Annotated[list[str] | None, typer.Option(help="This job. May be repeated.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help=f"Those that ended like this: {_STATES}.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to use this time.")] = None,
    replay_id: Annotated[
        str | None, typer.Option(help="The replay's name. Under it, it goes on where it stopped.")
    ] = None,
    max_waiting: Annotated[
        int, typer.Option(min=1, max=10_000, help="So many copies wait at once.")
    ] = 4,
    execute: Annotated[
        bool, typer.Option("--execute/--dry-run", help="Do it, or say what would be done.")
    ] = False,
    output: FormatOption = Format.table,
) -> None:
    """Do records again: append a copy of each behind the jobs that are there, a few at a time.

    Copies are jobs like others: their masks go to the callback, their events come in order.
    """
    selection = Selection(
        from_offset=from_offset,
        to_offset=to_offset,
        from_time=_read(read_time, from_datetime) or _read(before_now, by_duration),
        to_time=_read(read_time, to_datetime),
        moves=by_duration is not None,
        jobs=frozenset(job or ()),
        states=frozenset(_state(name) for name in state or ()),
    )
    ways = [
        from_offset is not None or to_offset is not None,
        from_datetime is not None or to_datetime is not None,
        by_duration is not None,
    ]
    if sum(ways) > 1:
        raise typer.BadParameter("choose offsets, times or a duration")
    if selection.is_of_all:
        raise typer.BadParameter(
            "say which records: --from-offset, --from-datetime, --by-duration, --job or --state"
        )
    if model is not None and not 1 <= len(model) <= 128:
        raise typer.BadParameter("--model: a model's name has 1 to 128 characters")
    order = Order(
        selection=selection,
        replay_id=_read(check_replay_id, replay_id),
        model=model,
        max_waiting=max_waiting,
        output=output,
    )
    run(_execute(order) if execute else _dry_run(order))


def _read(read: Callable[[str], T], text: str | None) -> T | None:
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _state(name: str) -> Shown:
    state = Shown.__members__.get(name.upper())
    if state is None or not state.ended:
        raise typer.BadParameter(f"{name!r} is none of {_STATES}")
    return state


async def _dry_run(order: Order) -> int:
    settings = load(KafkaSettings)
    await find_line(settings, _takes(settings))
    with reading() as show:
        plan = await _plan(settings, order, order.replay_id, show)
    settled = await settled_before(settings)
    unsettled = sum(offset >= settled for offset in plan.records)
    _write(order, plan, {"not_settled": unsettled})
    if unsettled:
        print_message(f"{unsettled} of them are not settled yet: they would be done twice")
    print_message("This was a dry run: nothing was written. --execute does it")
    return 0


async def _execute(order: Order) -> int:
    settings = load(KafkaSettings)
    replay_id = order.replay_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    print_message(f"replay {replay_id}: with --replay-id {replay_id} it goes on where it stopped")
    group = settings.consumer_group
    name = copier_id(group, replay_id)
    may_copy = to_transact(run_group(group, ""), prefixed=True, used=name)
    await find_line(settings, (*_takes(settings), *to_write(settings.jobs_topic), *may_copy))
    async with AsyncExitStack() as opened:
        # Before all else: what an earlier one of this name has in the air is over then.
        copier = Copier(settings, name)
        await opened.enter_async_context(copier)
        show = opened.enter_context(reading())
        plan = await _plan(settings, order, replay_id, show)
        pace = await opened.enter_async_context(await _pace(settings, order, plan))
        done = show("copies", total=len(plan.records))
        made = await Replay(settings, replay_id, order.model).run(copier, plan, pace, done)
        waiting = pace.waiting
    _write(order, plan, {"replay_id": replay_id, "copied": made, "waiting": waiting})
    print_message(f"{made} copied; {waiting} copies wait for the line")
    return 0


async def _plan(settings: KafkaSettings, order: Order, replay_id: str | None, show: Show) -> Plan:
    in_state = None
    if order.selection.states:
        async with up_to_date_view() as view:
            in_state = await view.ask(lambda queries: queries.offsets_in(order.selection.states))
    return await plan_replay(
        settings,
        await find_offsets(settings, order.selection),
        order.selection,
        replay_id=replay_id,
        in_state=in_state,
        progress=show("reading the jobs topic"),
    )


def _takes(settings: KafkaSettings) -> tuple[Right, ...]:
    """Give the rights that a plan takes."""
    return (*to_ask_group(settings), *to_read(settings.status_topic))


async def _pace(settings: KafkaSettings, order: Order, plan: Plan) -> Pace:
    """Begin to count the copies that wait: those of before included."""

    def stalled() -> None:
        print_message(
            f"the line has settled nothing for {STALLED_SECONDS:g} s: does a consumer run?"
            " `maskline stats` says"
        )

    follow_from = await end_of_all(settings, settings.status_topic)
    pace = Pace(settings, most=order.max_waiting, follow_from=follow_from, on_stalled=stalled)
    pace.settled(await settled_before(settings) - 1)
    pace.add(plan.copies)
    return pace


def _write(order: Order, plan: Plan, more: Row) -> None:
    """Write how many records, from when to when, and how many are left out and why."""
    left_out = {reason: n for reason, n in plan.left_out.items() if n}
    facts: dict[str, object] = {
        "records": len(plan.records),
        "from_offset": plan.offsets.start,
        "to_offset": plan.offsets.stop,
        "first": moment(plan.first_ms),
        "last": moment(plan.last_ms),
        "left_out": left_out,
        **more,
    }
    if order.output is not Format.table:
        write_rows((), [facts], order.output)
        return
    facts["left_out"] = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
    rows: list[Row] = [
        {"fact": name, "value": "" if value is None else str(value)}
        for name, value in facts.items()
    ]
    write_rows(("fact", "value"), rows, order.output)
