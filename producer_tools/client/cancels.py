"""Writes cancels to the control topic."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from consumer.kafka.rights import to_transact, to_write
from consumer.settings import KafkaSettings
from producer_tools.client.line import REACH_SECONDS, end_of_all, open_producer, unreachable
from schemas.control import Cancel


async def write_cancels(
    settings: KafkaSettings, job_ids: Sequence[str], *, reason: str | None = None, ahead: int = 0
) -> int:
    """Ask the line to cancel the jobs: all of them or, if this fails, none.

    A cancel holds for the records that a job has now, and not for one that is submitted later.
    For a batch, give its last job first: then none of it begins behind one that is cancelled.

    Args:
        settings: The line.
        job_ids: The jobs.
        reason: Why, as free text of at most 500 characters.
        ahead: So many offsets more are covered, for records that aren't submitted yet.

    Returns:
        The end of the jobs topic, and `ahead` more: records before it are cancelled.

    Raises:
        ServiceError: Kafka can't be reached, or refuses us.
        ValueError: A name that no job can have, or a reason that is too long.
    """
    now = datetime.now(UTC)
    end = await end_of_all(settings, settings.jobs_topic) + ahead
    cancels = [
        Cancel(job_id=job_id, before_offset=end, requested_at=now, reason=reason)
        for job_id in job_ids
    ]
    transactions = f"{settings.consumer_group}-cancel-"
    takes = (*to_write(settings.control_topic), *to_transact(transactions, prefixed=True))
    name = f"{transactions}{uuid.uuid4()}"
    async with open_producer(settings, *takes, transactional_id=name) as producer:
        try:
            async with asyncio.timeout(REACH_SECONDS), producer.transaction():
                for cancel in cancels:
                    await producer.send(
                        settings.control_topic, cancel.write(), key=cancel.job_id.encode()
                    )
        except (KafkaError, TimeoutError) as error:
            raise unreachable(settings, error, *takes) from error
    return end
