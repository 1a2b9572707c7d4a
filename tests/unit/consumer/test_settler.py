"""The settler stops right behind the failure that is one too many, and parts large batches."""

from collections.abc import Sequence
from typing import Any

import pytest

from consumer.errors import LaneHalted
from consumer.job.outcome import Failure, Outcome
from consumer.job.record import Record
from consumer.kafka.committed import Kept
from consumer.line.failures import FailuresInARow
from consumer.line.ledger import Ledger
from consumer.line.settler import LETTER_BYTES, Settler
from consumer.line.throughput import Throughput
from consumer.telemetry.metrics import Metrics
from schemas.job import Job
from schemas.status import ErrorCode, ErrorInfo

OWN_URL = Job(job_id="a", user_id="u", image="s3://b/k", callback_url="http://own/x")
OURS = Job(job_id="a", user_id="u", image="s3://b/k")


def outcome(
    offset: int, code: ErrorCode | None, *, job: Job | None = OURS, value: bytes = b"v"
) -> Outcome:
    """Give a completed job, or one that failed with this code."""
    record = Record("mask.jobs", 0, offset, 0, b"k", value, ())
    if code is None:
        return Outcome(record, "completed", 1, job=job)
    info = ErrorInfo(code=code, message="broken", stage="segment", retryable=False)
    return Outcome(record, "failed", 1, job=job, failure=Failure(info, "x.Broken"))


class Books:
    """Stands in for the settlement and for the cancels: notes what would be committed."""

    def __init__(self) -> None:
        self.settled: list[list[int]] = []
        self.kept: list[Kept] = []

    async def settle(self, batch: Sequence[Outcome], *, kept: Kept) -> None:
        """Note it."""
        self.settled.append([outcome.record.offset for outcome in batch])
        self.kept.append(kept)

    def forget(self, through: int) -> None:
        """Do nothing."""


def settler(books: Any, *, limit: int = 3, count: int = 0) -> Settler:
    """Give a settler that halts after so many failures, some of them counted already."""
    return Settler(
        settlement=books,
        ledger=Ledger(),
        cancellations=books,
        failures=FailuresInARow(limit, count=count),
        throughput=Throughput(Metrics()),
        topic_id="id",
    )


async def test_it_halts_right_behind_the_failure_that_is_too_many() -> None:
    """What follows stays for after the resume, and the halt is committed with what is settled."""
    books = Books()
    batch = [outcome(0, None), *(outcome(at, "internal_error") for at in range(1, 6))]

    one = settler(books)

    assert await one.settle(batch) == 4
    with pytest.raises(LaneHalted, match=r"3 dead letters .* offset 3.*maskline resume") as halt:
        one.check()

    assert books.settled == [[0, 1, 2, 3]]
    assert books.kept == [Kept(bookmark=0, topic_id="id", failures=3, halted=True)]
    assert halt.value.after == 3


async def test_the_count_of_a_former_owner_goes_on() -> None:
    """A hand-over in the middle changes nothing."""
    books = Books()
    one = settler(books, count=2)
    one.check()
    await one.settle([outcome(7, "unknown_model")])
    with pytest.raises(LaneHalted):
        one.check()
    assert books.kept[0].halted


@pytest.mark.parametrize(
    ("code", "job", "counts"),
    [
        ("image_forbidden", OURS, True),
        ("unknown_model", OURS, True),
        ("unsupported_output", OURS, True),
        ("callback_rejected", OURS, True),
        ("callback_rejected", OWN_URL, False),
        ("deadline_exceeded", OWN_URL, True),
        ("internal_error", None, True),
        ("invalid_message", None, False),
        ("invalid_image", OURS, False),
        ("image_not_found", OURS, False),
        ("storage_unavailable", OURS, False),
        ("callback_unavailable", OWN_URL, False),
        ("crash_loop", OURS, False),
    ],
)
async def test_only_failures_that_our_own_set_up_can_cause_count(
    code: ErrorCode, job: Job | None, counts: bool
) -> None:
    """A burst of customers' broken photos is no reason to stop."""
    books = Books()
    await settler(books).settle([outcome(0, code, job=job)])
    assert books.kept[0].failures == int(counts)


async def test_only_a_completed_job_sets_the_count_to_nothing() -> None:
    """Failures of other kinds in between leave it as it is."""
    books = Books()
    one = settler(books)
    await one.settle([outcome(0, "internal_error"), outcome(1, "invalid_image")])
    await one.settle([outcome(2, None)])
    assert [kept.failures for kept in books.kept] == [1, 0]


async def test_a_limit_of_nothing_never_halts() -> None:
    """`DEAD_LETTER_LIMIT=0`."""
    books = Books()
    await settler(books, limit=0).settle([outcome(at, "internal_error") for at in range(500)])
    assert not books.kept[0].halted


async def test_large_dead_letters_are_settled_in_transactions_of_their_own() -> None:
    """They are compressed while the transaction is open, which must not take long."""
    books = Books()
    large = bytes(LETTER_BYTES // 2 + 1)
    failed = [outcome(at, "invalid_message", job=None, value=large) for at in range(3)]
    done = outcome(3, None, value=large)

    one, batch = settler(books), [*failed, done]
    while batch:
        batch = batch[await one.settle(batch) :]

    assert books.settled == [[0], [1], [2, 3]]
