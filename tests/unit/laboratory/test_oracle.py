"""The oracle passes what is right, and finds each planted fault with the check that is for it."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.laboratory.evidence import (
    Event,
    Evidence,
    Foreseen,
    Ownership,
    Upload,
    read_event,
    read_ownerships,
)
from tests.laboratory.oracle import (
    ADDED,
    ANNOUNCED,
    AS_ARRIVED,
    CARRIED,
    FORESEEN,
    LETTERS,
    NEVER_FALLS,
    NOTHING_WAITS,
    ONE_EVENT,
    ONE_KEY,
    ORDER,
    OWNERSHIPS,
    STARTS,
    TOGETHER,
    UPLOADED,
    judge,
)
from tests.support.topics import Header, TopicRecord

TOPIC = "mask.jobs"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BROKEN = {3, 6}
OFFSETS = (0, 1, 2, 3, 4, 6, 7)  # 5 was a transaction's marker


def job(offset: int) -> TopicRecord:
    """A record of the jobs topic; two of them are no JSON."""
    value = b"{bad" if offset in BROKEN else json.dumps(fields(offset)).encode()
    headers: tuple[Header, ...] = (("traceparent", TRACE), ("x", None), ("x", b"\xff"))
    return TopicRecord(offset, b"key-%d" % offset, value, headers)


def fields(offset: int) -> dict[str, str]:
    """The job of a good record."""
    return {"job_id": f"job-{offset}", "user_id": f"user-{offset}", "image": "s3://b/k"}


def event(offset: int, state: str, position: int = 0) -> Event:
    """A status event of a record."""
    code = "invalid_message" if state == "failed" else None
    return Event(position, offset, state, code, b"key-%d" % offset, TRACE)


def letter(offset: int) -> TopicRecord:
    """The dead letter that belongs to a broken record."""
    values = (TOPIC, "0", str(offset), "intake", "a.B", "it is bad", "invalid_message")
    added = [(name, value.encode()) for name, value in zip(ADDED, values, strict=False)]
    added.append((ADDED[-1], b"2026-11-22T10:30:01.250Z"))
    record = job(offset)
    return replace(record, offset=offset * 10, headers=(*record.headers, *added))


def upload(offset: int) -> Upload:
    """The upload that belongs to a good record."""
    key = f"job-{offset}/{TOPIC}/0/{offset}"
    return Upload(f"job-{offset}", f"user-{offset}", key, TRACE.decode(), 200)


def ending(offset: int) -> str:
    """How a record ends."""
    return "failed" if offset in BROKEN else "completed"


def honest() -> Evidence:
    """A run of seven records, two of them broken, in two ownerships with repeated work between."""
    good = [offset for offset in OFFSETS if offset not in BROKEN]
    states = [(offset, "processing") for offset in good]
    states += [(offset, ending(offset)) for offset in OFFSETS]
    events = tuple(event(offset, state, at) for at, (offset, state) in enumerate(states))
    aborted = event(4, "completed", len(events))
    return Evidence(
        topic=TOPIC,
        jobs=tuple(job(offset) for offset in OFFSETS),
        foreseen={
            offset: Foreseen(ending(offset), "invalid_message" if offset in BROKEN else None)
            for offset in OFFSETS
        },
        committed=events,
        uncommitted=(*events, aborted),
        dead_letters=tuple(letter(offset) for offset in sorted(BROKEN)),
        offset=8,
        end=9,
        samples=(1, 1, 4),
        uploads=tuple(upload(offset) for offset in [*good, 4]),
        ownerships=(
            Ownership("first", 0, (0, 1, 2, 4, 7), (0, 1, 2)),
            Ownership("second", 4, (4, 7), (4, 7)),
        ),
    )


def fails(evidence: Evidence) -> set[str]:
    """Name the checks that fail."""
    return {verdict.check for verdict in judge(evidence) if not verdict.holds}


def test_what_is_right_passes() -> None:
    """Nothing contradicts an honest run."""
    assert fails(honest()) == set()


def without_event(evidence: Evidence, offset: int) -> Evidence:
    """Drop the terminal event of a record."""
    events = tuple(
        event for event in evidence.committed if not (event.terminal and event.offset == offset)
    )
    return replace(evidence, committed=events)


def committed_before_settled(evidence: Evidence) -> Evidence:
    """The offset went first, and the process died before the events of 6 and 7 did."""
    evidence = without_event(without_event(evidence, 7), 6)
    return replace(evidence, dead_letters=evidence.dead_letters[:1])


def settled_before_committed(evidence: Evidence) -> Evidence:
    """The events are out and the offset is not."""
    return replace(evidence, offset=7)


def an_event_lost(evidence: Evidence) -> Evidence:
    """One record in the middle never ended."""
    return without_event(evidence, 2)


def a_pair_swapped(evidence: Evidence) -> Evidence:
    """Two terminal events changed places."""
    *events, last_but_one, last = evidence.committed
    return replace(evidence, committed=(*events, last, last_but_one))


def two_terminal_events(evidence: Evidence) -> Evidence:
    """One record ended twice."""
    again = event(1, "completed", len(evidence.committed))
    return replace(evidence, committed=(*evidence.committed, again))


def an_event_out_of_nowhere(evidence: Evidence) -> Evidence:
    """An event tells of an offset without a record."""
    nowhere = event(5, "completed", len(evidence.committed))
    began = event(5, "processing", 0)
    position = next(
        at for at, one in enumerate(evidence.committed) if one.terminal and one.offset == 6
    )
    events = (*evidence.committed[:position], nowhere, *evidence.committed[position:])
    where = [one.offset for one in evidence.uncommitted].index(7)
    seen = (*evidence.uncommitted[:where], began, *evidence.uncommitted[where:])
    return replace(evidence, committed=events, uncommitted=seen)


def another_end_than_foreseen(evidence: Evidence) -> Evidence:
    """A record that had to fail is completed."""
    return replace(evidence, foreseen={**evidence.foreseen, 1: Foreseen("failed", "unknown_model")})


def a_dead_letter_missing(evidence: Evidence) -> Evidence:
    """A record failed and has no dead letter."""
    return replace(evidence, dead_letters=evidence.dead_letters[:1])


def a_dead_letter_twice(evidence: Evidence) -> Evidence:
    """A record failed and has two."""
    return replace(evidence, dead_letters=(*evidence.dead_letters, evidence.dead_letters[0]))


def a_dead_letter_of_a_good_record(evidence: Evidence) -> Evidence:
    """A completed record has one."""
    good = replace(letter(1), headers=(*job(1).headers, *letter(1).headers[-len(ADDED) :]))
    coded = (("mask-error-code", b""), good.headers[-1])
    good = replace(good, headers=(*good.headers[:-2], *coded))
    return replace(evidence, dead_letters=(*evidence.dead_letters, good))


def change_letter(**changes: object) -> Callable[[Evidence], Evidence]:
    """Falsify a dead letter."""

    def change(evidence: Evidence) -> Evidence:
        first, *others = evidence.dead_letters
        return replace(evidence, dead_letters=(replace(first, **changes), *others))  # type: ignore[arg-type]

    return change


def a_second_key(evidence: Evidence) -> Evidence:
    """An upload was repeated under a new key."""
    again = replace(upload(4), key=f"job-4/{TOPIC}/0/4/again")
    return replace(evidence, uploads=(*evidence.uploads, again))


def no_key(evidence: Evidence) -> Evidence:
    """An upload bears no key."""
    return replace(evidence, uploads=(*evidence.uploads, replace(upload(4), key=None)))


def another_jobs_key(evidence: Evidence) -> Evidence:
    """An upload bears another job's key."""
    again = replace(upload(4), key=upload(7).key, user_id="user-7")
    return replace(evidence, uploads=(*evidence.uploads, again))


def never_uploaded(evidence: Evidence) -> Evidence:
    """A completed job was only ever refused."""
    refused = tuple(
        replace(one, status=503) if one.job_id == "job-7" else one for one in evidence.uploads
    )
    return replace(evidence, uploads=refused)


def another_users_upload(evidence: Evidence) -> Evidence:
    """Masks went to the wrong user."""
    return replace(
        evidence,
        uploads=tuple(replace(one, user_id="user-1") for one in evidence.uploads),
    )


def offset_fell(evidence: Evidence) -> Evidence:
    """The committed offset went back."""
    return replace(evidence, samples=(1, 4, 3))


def records_wait(evidence: Evidence) -> Evidence:
    """A record is left at the end."""
    waiting = replace(job(9), key=b"key-9")
    return replace(evidence, jobs=(*evidence.jobs, waiting), end=10)


def fetched_out_of_order(evidence: Evidence) -> Evidence:
    """A fetch overtook another."""
    first, second = evidence.ownerships
    return replace(evidence, ownerships=(replace(first, fetches=(0, 2, 1, 4)), second))


def segmented_out_of_order(evidence: Evidence) -> Evidence:
    """A segmentation overtook another."""
    first, second = evidence.ownerships
    return replace(evidence, ownerships=(first, replace(second, segmentations=(7, 4))))


def started_twice_in_an_ownership(evidence: Evidence) -> Evidence:
    """An owner began a record twice."""
    first, second = evidence.ownerships
    return replace(evidence, ownerships=(first, replace(second, fetches=(4, 4, 7))))


def started_before_the_ownership(evidence: Evidence) -> Evidence:
    """An owner began a record that was settled."""
    first, second = evidence.ownerships
    return replace(evidence, ownerships=(first, replace(second, fetches=(2, 4, 7))))


def an_ownership_skipped_records(evidence: Evidence) -> Evidence:
    """An owner began past a record that was not settled."""
    first, second = evidence.ownerships
    return replace(
        evidence, ownerships=(first, replace(second, first=6, fetches=(7,), segmentations=(7,)))
    )


def announced_out_of_order(evidence: Evidence) -> Evidence:
    """A processing event overtook another."""
    first, second, *others = evidence.uncommitted
    return replace(evidence, uncommitted=(second, first, *others))


def never_announced(evidence: Evidence) -> Evidence:
    """A record ended and was never begun."""
    return replace(evidence, uncommitted=evidence.uncommitted[1:])


def another_key_on_an_event(evidence: Evidence) -> Evidence:
    """An event has not its record's key."""
    first, *others = evidence.committed
    return replace(evidence, committed=(replace(first, key=b"other"), *others))


def a_trace_lost(evidence: Evidence) -> Evidence:
    """An event has not its record's traceparent."""
    first, *others = evidence.committed
    return replace(evidence, committed=(replace(first, trace=None), *others))


PLANTED: list[tuple[Callable[[Evidence], Evidence], set[str]]] = [
    (committed_before_settled, {ONE_EVENT, TOGETHER}),
    (settled_before_committed, {TOGETHER, NOTHING_WAITS}),
    (an_event_lost, {ONE_EVENT, TOGETHER}),
    (a_pair_swapped, {ORDER}),
    (two_terminal_events, {ONE_EVENT}),
    (an_event_out_of_nowhere, {ONE_EVENT}),
    (another_end_than_foreseen, {FORESEEN}),
    (a_dead_letter_missing, {LETTERS}),
    (a_dead_letter_twice, {LETTERS}),
    (a_dead_letter_of_a_good_record, {LETTERS}),
    (change_letter(value=b"{worse"), {AS_ARRIVED}),
    (change_letter(key=None), {AS_ARRIVED}),
    (change_letter(headers=letter(3).headers[1:]), {AS_ARRIVED}),
    (change_letter(headers=(*job(6).headers[::-1], *letter(3).headers[3:])), {AS_ARRIVED}),
    (a_second_key, {ONE_KEY}),
    (no_key, {ONE_KEY}),
    (another_jobs_key, {ONE_KEY}),
    (never_uploaded, {UPLOADED}),
    (another_users_upload, {UPLOADED}),
    (offset_fell, {NEVER_FALLS}),
    (records_wait, {NOTHING_WAITS, ONE_EVENT}),
    (fetched_out_of_order, {STARTS}),
    (segmented_out_of_order, {STARTS}),
    (started_twice_in_an_ownership, {STARTS}),
    (started_before_the_ownership, {STARTS}),
    (an_ownership_skipped_records, {OWNERSHIPS}),
    (announced_out_of_order, {ANNOUNCED}),
    (never_announced, {ANNOUNCED}),
    (another_key_on_an_event, {CARRIED}),
    (a_trace_lost, {CARRIED}),
]


@pytest.mark.parametrize(
    ("plant", "caught_by"),
    PLANTED,
    ids=[f"{plant.__name__}-{n}" for n, (plant, _) in enumerate(PLANTED)],
)
def test_a_planted_fault_is_caught_by_its_check(
    plant: Callable[[Evidence], Evidence], caught_by: set[str]
) -> None:
    """The check that is for it fails, and no other."""
    assert fails(plant(honest())) == caught_by


def test_every_check_has_caught_something() -> None:
    """No check is there that never fails."""
    checks = {verdict.check for verdict in judge(honest())}

    assert set().union(*(caught for _, caught in PLANTED)) == checks


def test_a_verdict_names_what_contradicts_it() -> None:
    """A person sees which record to look at."""
    (verdict,) = [one for one in judge(an_event_lost(honest())) if one.check == ONE_EVENT]

    assert str(verdict) == (
        "  FAILS  every record has exactly one terminal event\n"
        "           offset 2 has 0 terminal events"
    )


def test_a_log_is_divided_into_ownerships() -> None:
    """Each opened lane begins one."""
    log: list[dict[str, object]] = [
        {"event": "models.warmed"},
        {"event": "lane.opened", "offset": 3},
        {"event": "fetch.started", "offset": 3},
        {"event": "segmentation.started", "offset": 3},
        {"event": "lane.lost"},
        {"event": "lane.opened", "offset": 4},
        {"event": "fetch.started", "offset": 4},
    ]

    assert read_ownerships("a", log) == (Ownership("a", 3, (3,), (3,)), Ownership("a", 4, (4,), ()))


def test_an_event_is_read_from_its_bytes() -> None:
    """What the checks need is in it."""
    value = {"source": {"offset": 4}, "state": "failed", "error": {"code": "invalid_image"}}
    record = TopicRecord(9, b"k", json.dumps(value).encode(), (("traceparent", TRACE),))

    assert read_event(record) == Event(9, 4, "failed", "invalid_image", b"k", TRACE)
