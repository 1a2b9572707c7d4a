"""Which dead letters a redrive takes, and what it says of the others."""

import pytest

from producer_tools.redrive.letters import Letter
from producer_tools.redrive.plan import (
    ALREADY,
    CANT_GET_BETTER,
    FAILED_AGAIN,
    NO_DEAD_LETTER,
    NOT_OURS,
    SUPERSEDED,
    TOO_OLD,
    UNREADABLE,
    Known,
    plan_redrive,
)
from schemas.status import Source

NOTHING = frozenset[str]()


def letter(offset: int, **fields: object) -> Letter:
    """Return a letter of the record 100 offsets further on."""
    given = {
        "code": "callback_rejected",
        "job_id": f"job-{offset}",
        "message": "why",
        "source": Source(topic="jobs", partition=0, offset=100 + offset),
        **fields,
    }
    return Letter(offset=offset, **given)  # type: ignore[arg-type]


def known(
    first: int = 0, *, copies: dict[int, int] | None = None, later: tuple[int, ...] = ()
) -> Known:
    """Return what the topics say."""
    return Known(
        topic="dlq",
        jobs_topic="jobs",
        first=first,
        copies={f"dlq/0/{offset}": n for offset, n in (copies or {}).items()},
        later=frozenset(f"dlq/0/{offset}" for offset in later),
    )


@pytest.mark.parametrize(
    ("one", "says", "reason"),
    [
        (letter(0), known(), None),
        (letter(0, source=None), known(), NO_DEAD_LETTER),
        (letter(0, source=Source(topic="other", partition=0, offset=1)), known(), NOT_OURS),
        (letter(0, code="invalid_message"), known(), CANT_GET_BETTER),
        (letter(0, omitted="unreadable"), known(), UNREADABLE),
        (letter(0), known(copies={0: 1}), ALREADY),
        (letter(0), known(copies={0: 1}, later=(0,)), SUPERSEDED),
        (letter(5, redrive_of="dlq/0/0", redrives=1), known(), FAILED_AGAIN),
        (letter(0), known(first=101), None),
        (letter(0), known(first=102), TOO_OLD),
    ],
)
def test_each_reason(one: Letter, says: Known, reason: str | None) -> None:
    plan = plan_redrive([one], says, again=False, codes=NOTHING)
    assert list(plan.reasons) == ([] if reason is None else [reason])


def test_again_takes_what_was_redriven_least_often() -> None:
    """So a killed one, repeated, finishes what it began; only then a new round begins."""
    letters = [letter(offset) for offset in range(4)]
    begun = plan_redrive(letters, known(copies={0: 1, 1: 1}), again=True, codes=NOTHING)
    assert [each.offset for each in begun.letters] == [2, 3]
    assert [each.offset for each, _ in begun.left_out] == [0, 1]
    even = known(copies=dict.fromkeys(range(4), 1))
    assert len(plan_redrive(letters, even, again=True, codes=NOTHING).letters) == 4


def test_again_takes_what_failed_again_and_what_is_too_old_but_not_its_ancestor() -> None:
    letters = [letter(0), letter(1, redrive_of="dlq/0/0", redrives=1)]
    plan = plan_redrive(letters, known(500, later=(0,)), again=True, codes=NOTHING)
    assert [each.offset for each in plan.letters] == [1]


def test_invalid_messages_are_taken_where_they_are_named() -> None:
    codes = frozenset({"invalid_message"})
    one = letter(0, code="invalid_message")
    assert plan_redrive([one], known(), again=False, codes=codes).letters == [one]
