"""The settler: settles batches, and lets go of what was kept of their records."""

import time
from collections.abc import Sequence

from consumer.job.outcome import Outcome
from consumer.line.cancellation import Cancellations
from consumer.line.ledger import Ledger
from consumer.line.settlement import Settlement
from consumer.line.throughput import Throughput


class Settler:
    """Makes a lane's batches durable, one after another."""

    def __init__(
        self,
        *,
        settlement: Settlement,
        ledger: Ledger,
        cancellations: Cancellations,
        throughput: Throughput,
    ) -> None:
        self._settlement = settlement
        self._ledger = ledger
        self._cancellations = cancellations
        self._throughput = throughput

    async def settle(self, batch: Sequence[Outcome]) -> None:
        """Settle the batch; then its records' starts and cancels don't matter any more.

        Raises:
            LaneLost: fenced, or the broker didn't answer.
            LaneHalted: a person must decide how to go on.
        """
        begin, last = time.perf_counter(), batch[-1].record.offset
        await self._settlement.settle(batch, bookmark=self._ledger.bookmark(after=last))
        self._ledger.forget(through=last)
        self._cancellations.forget(through=last)
        self._throughput.settled(batch, seconds=time.perf_counter() - begin)
