"""Each fault is charged with what happened between its moment and the next fault's."""

from dataclasses import replace

from tests.laboratory.costs import Part, Struck, costs
from tests.laboratory.evidence import Event, Evidence
from tests.laboratory.schedule import Fault
from tests.support.topics import TopicRecord

FIRST = Struck(Fault(2, "sigkill", 0, 0), begun=10.0, mended=11.0, over=18.0)
SECOND = Struck(Fault(4, "broker_kill", 0, 0), begun=30.0, mended=34.0, over=36.0)
SETTLED = {0: 9.0, 1: 9.5, 2: 17.0, 3: 18.0, 4: 29.0, 5: 36.0, 6: 37.0}


def evidence(*ended: int) -> Evidence:
    """Seven records, and the offsets that have terminal events."""
    return Evidence(
        topic="mask.jobs",
        jobs=tuple(TopicRecord(offset, None, None) for offset in range(7)),
        foreseen={},
        committed=tuple(
            Event(at, one, "completed", None, None, None) for at, one in enumerate(ended)
        ),
        uncommitted=(),
        dead_letters=(),
        offset=7,
        end=7,
        samples=(),
        uploads=(),
        ownerships=(),
    )


def test_standstill_and_recovery_are_measured_by_what_a_subscriber_sees() -> None:
    """The gap around a fault, and what of it comes after the cause is gone."""
    first, second = costs([FIRST, SECOND], [Part(SETTLED, [], evidence(*range(7)))])

    assert (first.kind, first.standstill, first.recovery) == ("sigkill", 7.5, 6.0)
    assert (second.kind, second.standstill, second.recovery) == ("broker_kill", 7.0, 2.0)


def test_work_begun_again_is_charged_to_the_fault_before_it() -> None:
    """A first start is charged to no fault."""
    begun = [(9.1, 2), (9.2, 3), (16.0, 2), (16.1, 3), (29.0, 5), (35.0, 5)]

    first, second = costs([FIRST, SECOND], [Part(SETTLED, begun, evidence())])

    assert (first.repeated, second.repeated) == (2, 1)


def test_what_is_lost_or_doubled_is_charged_by_its_place_in_the_order() -> None:
    """A lost event has no time of its own: it was due before the next one."""
    left = evidence(0, 1, 3, 4, 4, 6)
    settled = {offset: at for offset, at in SETTLED.items() if offset not in (2, 5)}

    first, second = costs([FIRST, SECOND], [Part(settled, [], left)])

    assert (first.lost, first.doubled) == ([2], [4])
    assert (second.lost, second.doubled) == ([5], [])


def test_a_fault_after_which_nothing_was_settled_has_no_recovery() -> None:
    """The verdicts name the standstill; the figure is 0."""
    late = replace(SECOND, mended=50.0, over=60.0)

    (cost,) = costs([late], [Part(SETTLED, [], evidence(*range(7)))])

    assert cost.recovery == 0.0
