"""The oracle passes what is right, and finds each planted fault with the check that is for it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
from tests.laboratory.run import judge_all
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
    assert fails(HONEST) == set()


def without_events(*offsets: int) -> tuple[Event, ...]:
    """The committed events without the terminal ones of these records."""
    return tuple(one for one in EVENTS if not (one.terminal and one.offset in offsets))


def with_letter(**changes: Any) -> Evidence:
    """The run with its first dead letter falsified."""
    return replace(HONEST, dead_letters=(replace(LETTER, **changes), *HONEST.dead_letters[1:]))


def with_upload(**changes: Any) -> Evidence:
    """The run with another upload of job 4, falsified."""
    return replace(HONEST, uploads=(*HONEST.uploads, replace(upload(4), **changes)))


def with_ownerships(first: Mapping[str, Any], second: Mapping[str, Any]) -> Evidence:
    """The run with its ownerships falsified."""
    one, other = HONEST.ownerships
    return replace(HONEST, ownerships=(replace(one, **first), replace(other, **second)))


HONEST = honest()
EVENTS = HONEST.committed
LETTER = HONEST.dead_letters[0]
GOOD_LETTER = replace(
    letter(1),
    headers=(*letter(1).headers[:-2], ("mask-error-code", b""), letter(1).headers[-1]),
)

PLANTED: dict[str, tuple[Evidence, set[str]]] = {
    "the offset was committed, and the process died before the events of 6 and 7": (
        replace(HONEST, committed=without_events(6, 7), dead_letters=(LETTER,)),
        {ONE_EVENT, TOGETHER},
    ),
    "the events are out and the offset is not": (
        replace(HONEST, offset=7),
        {TOGETHER, NOTHING_WAITS},
    ),
    "a record in the middle never ended": (
        replace(HONEST, committed=without_events(2)),
        {ONE_EVENT, TOGETHER},
    ),
    "two terminal events changed places": (
        replace(HONEST, committed=(*EVENTS[:-2], *EVENTS[:-3:-1])),
        {ORDER},
    ),
    "a record ended twice": (
        replace(HONEST, committed=(*EVENTS, event(1, "completed", len(EVENTS)))),
        {ONE_EVENT},
    ),
    "an event is of an offset without a record": (
        replace(
            HONEST,
            committed=(*EVENTS[:10], event(5, "completed", len(EVENTS)), *EVENTS[10:]),
            uncommitted=(*EVENTS[:4], event(5, "processing"), *HONEST.uncommitted[4:]),
        ),
        {ONE_EVENT},
    ),
    "a record that had to fail is completed": (
        replace(HONEST, foreseen={**HONEST.foreseen, 1: Foreseen("failed", "unknown_model")}),
        {FORESEEN},
    ),
    "a failed record has no dead letter": (replace(HONEST, dead_letters=(LETTER,)), {LETTERS}),
    "a failed record has two dead letters": (
        replace(HONEST, dead_letters=(*HONEST.dead_letters, LETTER)),
        {LETTERS},
    ),
    "a completed record has a dead letter": (
        replace(HONEST, dead_letters=(*HONEST.dead_letters, GOOD_LETTER)),
        {LETTERS},
    ),
    "a dead letter has another value": (with_letter(value=b"{worse"), {AS_ARRIVED}),
    "a dead letter has another key": (with_letter(key=None), {AS_ARRIVED}),
    "a dead letter lacks a header": (with_letter(headers=LETTER.headers[1:]), {AS_ARRIVED}),
    "a dead letter has its headers in another order": (
        with_letter(headers=(*job(6).headers[::-1], *LETTER.headers[3:])),
        {AS_ARRIVED},
    ),
    "an upload was repeated under a new key": (
        with_upload(key=f"job-4/{TOPIC}/0/4/again"),
        {ONE_KEY},
    ),
    "an upload has no key": (with_upload(key=None), {ONE_KEY}),
    "an upload has another job's key": (
        with_upload(key=upload(7).key, user_id="user-7"),
        {ONE_KEY},
    ),
    "a completed job was only ever refused": (
        replace(
            HONEST,
            uploads=tuple(
                replace(one, status=503 if one.job_id == "job-7" else one.status)
                for one in HONEST.uploads
            ),
        ),
        {UPLOADED},
    ),
    "masks went to the wrong user": (
        replace(HONEST, uploads=tuple(replace(one, user_id="user-1") for one in HONEST.uploads)),
        {UPLOADED},
    ),
    "the committed offset went back": (replace(HONEST, samples=(1, 4, 3)), {NEVER_FALLS}),
    "a record is left at the end": (
        replace(HONEST, jobs=(*HONEST.jobs, job(9)), end=10),
        {NOTHING_WAITS, ONE_EVENT},
    ),
    "a fetch overtook another": (with_ownerships({"fetches": (0, 2, 1, 4)}, {}), {STARTS}),
    "a segmentation overtook another": (with_ownerships({}, {"segmentations": (7, 4)}), {STARTS}),
    "an owner began a record twice": (with_ownerships({}, {"fetches": (4, 4, 7)}), {STARTS}),
    "an owner began a settled record": (with_ownerships({}, {"fetches": (2, 4, 7)}), {STARTS}),
    "an owner began past a record that was not settled": (
        with_ownerships({}, {"first": 6, "fetches": (7,), "segmentations": (7,)}),
        {OWNERSHIPS},
    ),
    "a processing event overtook another": (
        replace(HONEST, uncommitted=(*HONEST.uncommitted[1::-1], *HONEST.uncommitted[2:])),
        {ANNOUNCED},
    ),
    "a record ended and was never begun": (
        replace(HONEST, uncommitted=HONEST.uncommitted[1:]),
        {ANNOUNCED},
    ),
    "an event has another key": (
        replace(HONEST, committed=(replace(EVENTS[0], key=b"other"), *EVENTS[1:])),
        {CARRIED},
    ),
    "an event has lost its traceparent": (
        replace(HONEST, committed=(replace(EVENTS[0], trace=None), *EVENTS[1:])),
        {CARRIED},
    ),
}


@pytest.mark.parametrize(("evidence", "caught_by"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_caught_by_its_check(evidence: Evidence, caught_by: set[str]) -> None:
    """The check that is for it fails, and no other."""
    assert fails(evidence) == caught_by


def test_every_check_has_caught_something() -> None:
    """No check is there that never fails."""
    checks = {verdict.check for verdict in judge(HONEST)}

    assert set().union(*(caught for _, caught in PLANTED.values())) == checks


def test_a_verdict_names_what_contradicts_it() -> None:
    """A person sees which record to look at."""
    lost, _ = PLANTED["a record in the middle never ended"]
    (verdict,) = [one for one in judge(lost) if one.check == ONE_EVENT]

    assert str(verdict) == (
        "  FAILS  every record has exactly one terminal event\n"
        "           offset 2 has 0 terminal events"
    )


def test_where_the_topic_was_made_anew_a_verdict_names_the_topic() -> None:
    """Offsets mean other records there."""
    lost, _ = PLANTED["a record in the middle never ended"]
    (verdict,) = [one for one in judge_all([HONEST, lost]) if one.check == ONE_EVENT]

    assert verdict.against == ("topic 2: offset 2 has 0 terminal events",)


def test_a_batch_that_cannot_be_unpacked_has_events_and_dead_letters_of_offsets_alone() -> None:
    """We can unpack it, and the line has bounds."""
    packed = Foreseen("failed", "invalid_message", unpacked=False)
    bare = replace(LETTER, key=None, value=None, headers=LETTER.headers[3:])
    keyless = tuple(replace(one, key=None) if one.offset == 3 else one for one in EVENTS)
    found = replace(
        HONEST,
        foreseen={**HONEST.foreseen, 3: packed},
        dead_letters=(bare, *HONEST.dead_letters[1:]),
        committed=keyless,
    )

    assert fails(found) == set()
    assert fails(replace(found, foreseen=HONEST.foreseen)) == {AS_ARRIVED, CARRIED}


def test_an_event_may_leave_out_a_key_that_is_too_long() -> None:
    """And no other."""
    jobs = tuple(
        replace(one, key=b"k" * 1_100_000) if one.offset == 0 else one for one in HONEST.jobs
    )
    keyless = tuple(replace(one, key=None) if one.offset == 0 else one for one in EVENTS)

    assert fails(replace(HONEST, jobs=jobs, committed=keyless)) == set()
    assert fails(replace(HONEST, committed=keyless)) == {CARRIED}


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
