"""Which dead letters are put back onto the jobs topic, and why the others are not."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from producer_tools.redrive.letters import Letter
from schemas.redrive import letter_name

CANT_GET_BETTER = "can't get better: the record is no job (--code invalid_message asks for it)"
NOT_OURS = "its job came from another topic than JOBS_TOPIC"
NO_DEAD_LETTER = "no dead letter"
ALREADY = "redriven already (--again redrives it once more)"
FAILED_AGAIN = "failed again after a redrive (--again)"
SUPERSEDED = "failed again after a redrive, and has a later dead letter"
TOO_OLD = "too old to tell whether it was redriven (--again)"
NO_VALUE = "its value isn't in the dead letter, and no longer in the jobs topic"
UNREADABLE = "its value could not be read"
PHOTO_GONE = "its photo is gone"
TOO_LARGE = "it doesn't fit into the jobs topic any more"

Check = Callable[[Letter], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the topics say of earlier redrives."""

    topic: str
    """The dead-letter topic."""
    jobs_topic: str
    first: int
    """The first record that the jobs topic still has."""
    copies: Mapping[str, int]
    """How often each dead letter was redriven, as far as the jobs topic tells."""
    later: frozenset[str]
    """Dead letters whose redriven record has failed again."""

    def times(self, letter: Letter) -> int:
        """Return how often the letter was redriven."""
        return self.copies.get(letter_name(self.topic, 0, letter.offset), 0)

    def has_later(self, letter: Letter) -> bool:
        """Return whether its redriven record has a dead letter of its own."""
        return letter_name(self.topic, 0, letter.offset) in self.later

    def is_complete(self, letter: Letter) -> bool:
        """Return whether a redriven record of the letter would still be in the jobs topic."""
        return letter.source is not None and self.first <= letter.source.offset + 1


@dataclass(slots=True)
class Plan:
    """What is redriven, in order, and what is left out."""

    letters: list[Letter] = field(default_factory=list)
    left_out: list[tuple[Letter, str]] = field(default_factory=list)
    """The others, each with the reason."""

    def leave_out(self, gone: Mapping[int, str]) -> None:
        """Leave out letters that were planned, for reasons by their offsets."""
        self.left_out += [(each, gone[each.offset]) for each in self.letters if each.offset in gone]
        self.letters = [each for each in self.letters if each.offset not in gone]

    @property
    def reasons(self) -> Counter[str]:
        """How many are left out for each reason."""
        return Counter(reason for _, reason in self.left_out)


def plan_redrive(
    letters: Iterable[Letter], known: Known, *, again: bool, codes: frozenset[str]
) -> Plan:
    """Plan a redrive of these letters.

    With `again`, those that were redriven least often come first, and the others only when all are
    equal. So a run that was killed and is repeated finishes what it began, and doubles nothing.
    """
    plan = Plan()
    for letter in letters:
        reason = _why_not(letter, known, again=again, codes=codes)
        if reason is None:
            plan.letters.append(letter)
        else:
            plan.left_out.append((letter, reason))
    plan.leave_out(_more_often(plan.letters, known))
    return plan


def _why_not(letter: Letter, known: Known, *, again: bool, codes: frozenset[str]) -> str | None:
    if letter.source is None:
        return NO_DEAD_LETTER
    if letter.source.topic != known.jobs_topic:
        return NOT_OURS
    if letter.code == "invalid_message" and letter.code not in codes:
        return CANT_GET_BETTER
    if letter.omitted == "unreadable":
        return UNREADABLE
    if known.has_later(letter):
        return SUPERSEDED
    if again:
        return None
    if known.times(letter):
        return ALREADY
    if letter.redrive_of is not None:
        return FAILED_AGAIN
    return None if known.is_complete(letter) else TOO_OLD


def _more_often(letters: Sequence[Letter], known: Known) -> dict[int, str]:
    """Return the letters that were redriven as often as any, where others were less often."""
    times = {letter.offset: known.times(letter) for letter in letters}
    most, least = max(times.values(), default=0), min(times.values(), default=0)
    if most == least:
        return {}
    return {offset: ALREADY for offset, n in times.items() if n == most}
