"""The executor: does the job of each record that the lane takes."""

import asyncio

import structlog

from consumer.errors import JobCancelled, LaneLost
from consumer.job.attempt import Attempt
from consumer.job.collaborators import AttemptLedger, CancelRequests, EventPublisher
from consumer.job.outcome import Outcome
from consumer.job.record import Record
from consumer.job.services import Services
from consumer.job.turns import Turn


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

    async def execute(self, record: Record, fetch: Turn, segmentation: Turn) -> Outcome:
        """Do the record's job; whatever is wrong with it comes back as a value.

        `fetch` and `segmentation` are its turns to begin each.

        Raises:
            LaneLost: an event could not be published: the job will start again in a new lane.
        """
        attempt = Attempt(
            record, services=self._services, publisher=self._publisher, ledger=self._ledger
        )
        with structlog.contextvars.bound_contextvars(
            partition=record.partition, offset=record.offset
        ):
            try:
                job = attempt.read()
                with self._cancels.cancellable(job.job_id, record.offset):
                    return await attempt.run(job, fetch, segmentation)
            except JobCancelled:
                return attempt.cancelled()
            except asyncio.CancelledError:
                await attempt.publish_abandoned()
                raise
            except LaneLost:
                raise
            except Exception as error:
                return attempt.failed(error)
            finally:
                fetch.pass_on()
                segmentation.pass_on()
