"""Schedules of faults: drawn from a seed, measured in settled records and never in time."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_NETWORK = (
    "kafka_cut",
    "kafka_reset",
    "kafka_half_close",
    "kafka_slow",
    "s3_cut",
    "s3_reset",
    "s3_half_close",
    "s3_some_silent",
    "s3_slow",
    "callback_cut",
    "callback_reset",
    "callback_half_close",
    "callback_some_silent",
    "callback_slow",
    "rebalance_burst",
)

_RECEIVERS = ("receiver_unread", "receiver_twice", "receiver_early")
_OPERATORS = ("cancels", "halt", "joins_in_hold", "topic_anew")

SCHEDULES: dict[str, tuple[str, ...]] = {
    "order": ("sigkill", "sigkill_settling", "sigkill_settled"),
    "fencing": ("takeover", "broker_pause"),
    "holds": (
        "s3_down",
        "callback_503",
        "wrong_secret",
        "wrong_s3_key",
        "wrong_s3_secret",
        "callback_refuses",
    ),
    "rebalances": ("rebalances", "rebalance_in_hold", "sigterm"),
    "broker": ("broker_kill", "broker_restart", "broker_pause"),
    "callback": ("callback_503", "callback_refuses", "callback_cuts", "callback_late"),
    "network": _NETWORK,
    "operators": _OPERATORS,
    "receivers": _RECEIVERS,
    "cluster": (
        "leader_kill",
        "status_leader_kill",
        "group_coordinator_kill",
        "transaction_coordinator_kill",
        "leader_pause",
        "group_coordinator_pause",
        "rolling_restart",
        "two_away",
        "sigkill",
        "sigkill_settling",
        "rebalances",
        "takeover",
    ),
    "mixed": (
        "sigkill",
        "sigkill_settling",
        "sigkill_settled",
        "sigkill_at_start",
        "sigterm",
        "takeover",
        "rebalances",
        "broker_kill",
        "broker_restart",
        "broker_pause",
        "s3_down",
        "rebalance_in_hold",
        "s3_pause",
        "callback_503",
        "callback_refuses",
        "callback_cuts",
        "callback_late",
        "wrong_secret",
        "wrong_s3_key",
        "wrong_s3_secret",
        *_OPERATORS,
        *_RECEIVERS,
        *_NETWORK,
    ),
}
"""What each schedule is drawn from; as long as there are kinds left, each comes once.

Kinds of `network` need a `ProxiedStack`, those of `cluster` a `ClusterStack`, and `wrong_s3_secret`
an S3 that checks signatures.
"""

_FIRST, _LAST = 0.02, 0.9
MOST_LINES = 60
EVERY = 200
"""Records between two faults of an endless schedule, on average."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done to the line when so many records are settled."""

    at: int
    """Settled records."""
    kind: str
    lines: int
    """Further lines in the owner's log: the moment lies anywhere in its work, not only after a
    settlement."""
    seconds: float
    """How long an outage lasts, where that is the fault's nature."""

    def __str__(self) -> str:
        """Name it and its moment."""
        return f"{self.kind} at {self.at}+{self.lines}"


def draw(
    seed: int, *, schedule: str, records: int, faults: int, outage: float = 5.0
) -> list[Fault]:
    """Draw the faults of a run, in the order of their moments.

    Args:
        seed: The same gives the same.
        schedule: A name in `SCHEDULES`.
        records: Records of the run.
        faults: How many.
        outage: Seconds that an outage of S3 or the callback lasts.
    """
    dice = random.Random(f"{seed} {schedule}")
    kinds = list(itertools.islice(_kinds(schedule, dice), faults))
    moments = sorted(
        dice.randint(int(records * _FIRST), int(records * _LAST)) for _ in range(faults)
    )
    return [
        Fault(at, kind, dice.randrange(MOST_LINES), outage)
        for at, kind in zip(moments, kinds, strict=True)
    ]


def endless(
    seed: int, *, schedule: str, outage: float = 5.0, over: Callable[[], bool]
) -> Iterator[Fault]:
    """Draw faults until `over`, one every few hundred records; arguments as of `draw`."""
    dice = random.Random(f"{seed} {schedule}")
    at = 0
    for kind in _kinds(schedule, dice):
        at += dice.randint(1, 2 * EVERY)
        if over():
            return
        yield Fault(at, kind, dice.randrange(MOST_LINES), outage)


def _kinds(schedule: str, dice: random.Random) -> Iterator[str]:
    """Give each kind once, shuffled, and again."""
    while True:
        kinds = list(SCHEDULES[schedule])
        dice.shuffle(kinds)
        yield from kinds
