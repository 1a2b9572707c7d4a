"""A job's straight way: from a record of the jobs topic to its outcome."""

import asyncio

import structlog

from consumer.attempt import Attempt
from consumer.cancellation import Cancellations, JobCancelled
from consumer.errors import LaneLost
from consumer.ledger import Ledger
from consumer.outcome import Outcome, Record
from consumer.services import Services
from consumer.status import StatusPublisher
from consumer.turns import Turn


async def work(
    record: Record,
    fetch: Turn,
    segmentation: Turn,
    *,
    services: Services,
    status: StatusPublisher,
    ledger: Ledger,
    cancellations: Cancellations,
) -> Outcome:
    """Do the record's job; whatever is wrong with it comes back as a value.

    `fetch` and `segmentation` are its turns to begin each.

    Raises:
        LaneLost: an event could not be published: the job will start again in a new lane.
    """
    attempt = Attempt(record, services=services, status=status, ledger=ledger)
    with structlog.contextvars.bound_contextvars(partition=record.partition, offset=record.offset):
        try:
            job = attempt.read()
            with cancellations.heeded(job.job_id, record.offset):
                return await attempt.straight(job, fetch, segmentation)
        except JobCancelled:
            return attempt.cancelled()
        except asyncio.CancelledError:
            await attempt.hand_on()
            raise
        except LaneLost:
            raise
        except Exception as error:
            return attempt.failed(error)
        finally:
            fetch.pass_on()
            segmentation.pass_on()
