"""The consumer with a fault planted in it: `python -m tests.laboratory.planted NAME consume`.

Each breaks one promise the way a careless change would. The laboratory must notice.
"""

import asyncio
import random
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from consumer.job import callback
from consumer.job.outcome import Outcome
from consumer.job.turns import Turn
from consumer.kafka.committed import Kept
from consumer.line.dead_letters import Letter
from consumer.line.settlement import Settlement
from producer_tools.cli.app import main
from tests.laboratory.oracle import LETTERS, ONE_EVENT, ONE_KEY, ORDER, STARTS

EVERY = 7
"""Of records, where a fault concerns only some."""
APART_SECONDS = 0.1
"""Between two transactions where one belongs: long enough for a death in between."""

_transact = Settlement._transact
_send_dead_letter = Settlement._send_dead_letter


def commit_before_settle() -> None:
    """Commit the offset first, and settle after."""

    async def transact(
        self: Settlement, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        await _commit_alone(self, batch, kept)
        await asyncio.sleep(APART_SECONDS)
        await _transact(self, batch, letters, kept)

    Settlement._transact = transact  # type: ignore[method-assign]


def settle_before_commit() -> None:
    """Settle first, and commit the offset in a transaction of its own."""

    async def transact(
        self: Settlement, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        async def not_yet(*_: object) -> None: ...

        self._producer.send_offsets_to_transaction = not_yet
        await _transact(self, batch, letters, kept)
        del self._producer.send_offsets_to_transaction
        await asyncio.sleep(APART_SECONDS)
        await _commit_alone(self, batch, kept)

    Settlement._transact = transact  # type: ignore[method-assign]


def lost_event() -> None:
    """Leave out the terminal event of a record now and then."""

    async def transact(
        self: Settlement, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        *before, last = batch  # whose offset is committed
        await _transact(self, [*(one for one in before if not _chosen(one)), last], letters, kept)

    Settlement._transact = transact  # type: ignore[method-assign]


def swapped_pair() -> None:
    """Write two terminal events of a batch the wrong way round."""

    async def transact(
        self: Settlement, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        *before, last = batch
        await _transact(self, [*before[:-2], *before[-2:][::-1], last], letters, kept)

    Settlement._transact = transact  # type: ignore[method-assign]


def two_terminal_events() -> None:
    """Write the terminal event of a record twice now and then."""

    async def transact(
        self: Settlement, batch: Sequence[Outcome], letters: Sequence[Letter], kept: Kept
    ) -> None:
        doubled = [one for each in batch for one in [each] * (2 if _chosen(each) else 1)]
        await _transact(self, doubled, letters, kept)

    Settlement._transact = transact  # type: ignore[method-assign]


def missing_dead_letter() -> None:
    """Write no dead letter for a record without a key."""

    async def send(self: Settlement, letter: Letter) -> asyncio.Future[Any]:
        if letter.key is not None:
            return await _send_dead_letter(self, letter)
        nothing: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    Settlement._send_dead_letter = send  # type: ignore[method-assign]


def key_of_its_own() -> None:
    """Give each upload an Idempotency-Key that no other has."""
    names = vars(callback)
    key = names["idempotency_key"]
    names["idempotency_key"] = lambda *parts: f"{key(*parts)}/{uuid.uuid4()}"


def never_fenced() -> None:
    """Give each owner a transactional id of its own."""
    start = AIOKafkaProducer.__init__

    def init(self: AIOKafkaProducer, **options: Any) -> None:
        if options.get("transactional_id"):
            options["transactional_id"] += f"-{uuid.uuid4()}"
        start(self, **options)

    AIOKafkaProducer.__init__ = init


def out_of_turn() -> None:
    """Let fetches and segmentations begin as they come."""

    async def come(self: Turn) -> None:
        await asyncio.sleep(random.random() / 50)

    Turn.come = come  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault to plant, and what must bring it to light."""

    plant: Callable[[], None]
    caught_by: str
    """The oracle's check that is for it; others may fail, too."""
    strikes: tuple[str, ...] = ()
    """Without these the line has no occasion to go wrong."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.plant.__name__


_DEATHS = ("sigkill_settling", "sigkill_settled") * 2

PLANTED = {
    one.name: one
    for one in (
        Planted(commit_before_settle, ONE_EVENT, _DEATHS),
        Planted(settle_before_commit, ONE_EVENT, _DEATHS),
        Planted(lost_event, ONE_EVENT),
        Planted(swapped_pair, ORDER),
        Planted(two_terminal_events, ONE_EVENT),
        Planted(missing_dead_letter, LETTERS),
        Planted(key_of_its_own, ONE_KEY),
        Planted(never_fenced, ONE_EVENT, ("takeover",) * 2),
        Planted(out_of_turn, STARTS),
    )
}


async def _commit_alone(self: Settlement, batch: Sequence[Outcome], kept: Kept) -> None:
    offset = OffsetAndMetadata(batch[-1].record.offset + 1, kept.write())
    offsets = {self._partition: offset}
    await self._producer.begin_transaction()
    await self._producer.send_offsets_to_transaction(offsets, self._settings.consumer_group)
    await self._producer.commit_transaction()


def _chosen(outcome: Outcome) -> bool:
    return outcome.record.offset % EVERY == 0


if __name__ == "__main__":
    PLANTED[sys.argv.pop(1)].plant()
    main()
