"""The executor: does the job of each record that the lane takes."""

import asyncio
import contextlib

import structlog

from consumer.errors import JobCancelled, LaneLost
from consumer.job.attempt import Attempt
from consumer.job.collaborators import AttemptLedger, CancelRequests, EventPublisher
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.services import Services
from consumer.job.turns import Turn

ABANDON_SECONDS = 2.0


class JobExecutor:
    """Turns records into outcomes, each in a task of the lane."""

    def __init__(
        self,
        services: Services,
        *,
        publisher: EventPublisher,
        ledger: AttemptLedger,
        cancels: CancelRequests,
    ) -> None:
        self._services = services
        self._publisher = publisher
        self._ledger = ledger
        self._cancels = cancels
        self._attempts: dict[int, Attempt] = {}

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        """Do the record's job; whatever is wrong with it comes back as a value.

        `fetch` and `segmentation` are its turns to begin each.

        Raises:
            LaneLost: an event could not be published: the job will start again in a new lane.
        """
        attempt = Attempt(
            record, services=self._services, publisher=self._publisher, ledger=self._ledger
        )
        self._attempts[record.offset] = attempt
        ids = {"partition": record.partition, "offset": record.offset, **attempt.trace.ids}
        with structlog.contextvars.bound_contextvars(**ids), attempt.trace.current():
            try:
                job = attempt.read()
                with self._cancels.cancellable(job.job_id, record.offset):
                    return await attempt.run(job, fetch, segmentation)
            except JobCancelled:
                return attempt.cancelled()
            except LaneLost:
                raise
            except Exception as error:
                return attempt.failed(error)
            finally:
                fetch.pass_on()
                segmentation.pass_on()

    def forget(self, through: int) -> None:
        """Drop the attempts at records up to and including offset `through`: they are settled."""
        for offset in [offset for offset in self._attempts if offset <= through]:
            del self._attempts[offset]

    async def abandon(self) -> None:
        """Publish of every attempt that isn't settled, finished or not, that we gave it up.

        Without that, the ledger would count each of them as a crash.
        """
        for attempt in self._attempts.values():
            attempt.trace.abandon()
        given_up = [attempt.publish_abandoned() for attempt in self._attempts.values()]
        self._attempts.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABANDON_SECONDS):
                await asyncio.gather(*given_up, return_exceptions=True)
