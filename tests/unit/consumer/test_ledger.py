"""The ledger distinguishes crashes from waits, and its bookmark never skips an open start."""

from consumer.line.ledger import Ledger


def heard(ledger: Ledger, offset: int, attempt: int, *, at: int, computing: bool = True) -> None:
    """What `Ledger.read` notes of one event of a former process."""
    ledger._note(offset, attempt, at=at, computing=computing)


def test_a_record_never_begun_is_at_its_first_attempt() -> None:
    assert Ledger().attempt(5) == 1
    assert Ledger().crashes(5) == 0
    assert Ledger().last_crashed() == -1


def test_a_start_of_a_former_process_is_a_crash() -> None:
    ledger = Ledger()
    heard(ledger, 5, 1, at=100)
    heard(ledger, 7, 1, at=101)
    heard(ledger, 5, 2, at=102)
    assert (ledger.crashes(5), ledger.crashes(7)) == (2, 1)
    assert (ledger.attempt(5), ledger.attempt(7)) == (3, 2)
    assert ledger.last_crashed() == 7


def test_a_start_that_was_last_heard_waiting_is_no_crash() -> None:
    ledger = Ledger()
    heard(ledger, 5, 1, at=100)
    heard(ledger, 5, 1, at=101, computing=False)
    assert ledger.crashes(5) == 0
    assert ledger.attempt(5) == 2
    heard(ledger, 5, 1, at=102)
    assert ledger.crashes(5) == 1


def test_a_start_of_this_process_is_no_crash_when_its_lane_is_opened_anew() -> None:
    ledger = Ledger()
    ledger.started(5, 1, at=100)
    heard(ledger, 5, 1, at=100)
    assert ledger.crashes(5) == 0
    assert ledger.attempt(5) == 2


def test_the_bookmark_is_the_first_start_of_what_is_still_open() -> None:
    ledger = Ledger()
    heard(ledger, 5, 1, at=100)
    ledger.started(4, 1, at=120)
    ledger.started(5, 2, at=121)
    assert ledger.bookmark(after=3) == 100
    assert ledger.bookmark(after=4) == 100
    assert ledger.bookmark(after=5) == 122


def test_what_is_settled_is_forgotten() -> None:
    ledger = Ledger()
    ledger.started(4, 1, at=120)
    ledger.started(5, 1, at=121)
    ledger.forget(through=4)
    assert ledger.attempt(4) == 1
    assert ledger.attempt(5) == 2
    assert ledger.bookmark(after=4) == 121
