"""The settler: makes what the lane has finished durable, and keeps the books of it."""

import time
from collections.abc import Sequence

from consumer.errors import LaneHalted
from consumer.job.outcome import Outcome
from consumer.kafka.committed import Kept, RunProgress
from consumer.line.cancellation import Cancellations
from consumer.line.failures import FailuresInARow
from consumer.line.ledger import Ledger
from consumer.line.settlement import Settlement
from consumer.line.throughput import Throughput

LETTER_BYTES = 8 * 1024 * 1024
"""Bytes of values in the dead letters of one transaction: they are compressed while it is open."""


class Settler:
    """Settles batches of outcomes in order, each outcome once."""

    def __init__(
        self,
        *,
        settlement: Settlement,
        ledger: Ledger,
        cancellations: Cancellations,
        failures: FailuresInARow,
        throughput: Throughput,
        topic_id: str,
        run: RunProgress | None = None,
    ) -> None:
        """`topic_id`: the jobs topic that the lane reads; empty where it isn't known.

        `run`: how far the replay run is, if this is one.
        """
        self.run = run
        self._settlement = settlement
        self._ledger = ledger
        self._cancellations = cancellations
        self._failures = failures
        self._throughput = throughput
        self._topic_id = topic_id
        self._last = -1

    async def settle(self, batch: Sequence[Outcome]) -> int:
        """Settle the batch, or the first of it; give how many. Then their starts don't matter.

        Raises:
            LaneLost: whether they are settled, the next owner will read from the broker.
            LaneHalted: a person must decide how to go on.
        """
        portion = self._up_to_the_limit(_affordable(batch))
        await self._settle(portion)
        return len(portion)

    def check(self) -> None:
        """Raise `LaneHalted` where the failures in a row have become too many."""
        if self._failures.too_many:
            raise halted_for(self._failures.count, after=self._last)

    def _up_to_the_limit(self, batch: Sequence[Outcome]) -> Sequence[Outcome]:
        """Count failures; what follows the one that is too many isn't settled."""
        for number, outcome in enumerate(batch, start=1):
            self._failures.add(outcome)
            if self._failures.too_many:
                return batch[:number]
        return batch

    async def _settle(self, batch: Sequence[Outcome]) -> None:
        begin, last = time.perf_counter(), batch[-1].record.offset
        run = self.run and self.run.plus(outcome.state for outcome in batch)
        kept = Kept(
            bookmark=self._ledger.bookmark(after=last),
            topic_id=self._topic_id,
            failures=self._failures.count,
            halted=self._failures.too_many,
            run=run,
        )
        await self._settlement.settle(batch, kept=kept)
        self._last, self.run = last, run
        self._ledger.forget(through=last)
        self._cancellations.forget(through=last)
        seconds = time.perf_counter() - begin
        self._throughput.settled(batch, seconds=seconds)
        for outcome in batch:
            outcome.trace.note(mask__state=outcome.state)
            outcome.trace.settle(seconds=seconds, jobs=len(batch))


def halted_for(failures: int, *, after: int) -> LaneHalted:
    """Say that so many failures in a row halted the line behind the record at offset `after`."""
    return LaneHalted(
        f"{failures} dead letters in a row that our own set-up can cause (DEAD_LETTER_LIMIT), the"
        f" last settled record has offset {after}: mend what their error codes name, then"
        " `maskline resume`",
        reason="dead_letters",
        after=after,
    )


def _affordable(batch: Sequence[Outcome]) -> Sequence[Outcome]:
    """Give the first of a batch whose dead letters would take long to compress."""
    size = 0
    for number, outcome in enumerate(batch):
        size += len(outcome.record.value or b"") if outcome.failure else 0
        if number and size > LETTER_BYTES:
            return batch[:number]
    return batch
