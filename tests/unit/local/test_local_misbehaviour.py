"""Rules of misbehaviour meet the uploads that they are for."""

import pytest
from pydantic import ValidationError

from producer_tools.local.mask_asset.misbehaviour import Misbehaviour, Misbehaviours, Plan


def rules(*given: Misbehaviour) -> Misbehaviours:
    """The rules, in force."""
    standing = Misbehaviours()
    for rule in given:
        standing.add(rule)
    return standing


def test_without_rules_all_is_well() -> None:
    """Nothing waits, nothing is wrong."""
    assert rules().plan("job") == Plan(0.0, None)


def test_the_first_rule_with_a_mode_decides_and_the_second_is_not_spent() -> None:
    """What a rule didn't meet doesn't count against it."""
    first = Misbehaviour(mode="close", times=1)
    second = Misbehaviour(mode="malformed", times=1)
    standing = rules(first, second)
    assert [standing.plan("job").misbehaviour for _ in range(3)] == [first, second, None]


def test_delays_add_up() -> None:
    """A latency for all, and more for some."""
    standing = rules(Misbehaviour(delay_ms=(10, 10)), Misbehaviour(delay_ms=(5, 5), jobs="slow-.*"))
    assert standing.plan("slow-1").delay == pytest.approx(0.015)
    assert standing.plan("job").delay == pytest.approx(0.010)


def test_the_same_seed_draws_the_same_delays() -> None:
    """A proof that failed can be run again."""
    drawn = []
    for _ in range(2):
        standing = rules(Misbehaviour(delay_ms=(0, 50), seed=3))
        drawn.append([standing.plan("job").delay for _ in range(20)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 10
    assert all(0 <= delay <= 0.05 for delay in drawn[0])


def test_cleared_rules_are_gone() -> None:
    """Behave again."""
    standing = rules(Misbehaviour(mode="failure"))
    standing.set([])
    assert standing.plan("job").misbehaviour is None


@pytest.mark.parametrize(
    "rule", [{"mode": "status"}, {"status": 500}, {"times": 0}, {"jobs": "("}, {"typo": True}]
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object]) -> None:
    """A mistake in a test is an error, not good behaviour."""
    with pytest.raises(ValidationError):
        Misbehaviour.model_validate(rule)
