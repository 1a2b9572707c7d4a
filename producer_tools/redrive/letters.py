"""Dead letters as the tools read them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from consumer.kafka.reader import AnyRecord, UnreadableRecord
from consumer.settings import KafkaSettings
from producer_tools.client.scan import Progress, scan
from schemas.dead_letter import DeadLetter, arrived_headers
from schemas.errors import InvalidMessage
from schemas.job import ImageReference, Job
from schemas.message import INT64_MAX
from schemas.redrive import redrive_of, redrives
from schemas.status import Source

NO_LETTER = "no dead letter"
"""Stands for the code of a record of the topic that is none."""
_LONGEST_KEY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters are meant."""

    codes: frozenset[str] = frozenset()
    """Of these codes alone. Empty: of any."""
    jobs: frozenset[str] = frozenset()
    """Of these jobs alone. Empty: of any."""
    offsets: range = field(default=range(INT64_MAX))
    """At these offsets of the dead-letter topic."""

    def covers(self, letter: "Letter") -> bool:
        """Return whether the letter is meant."""
        return (
            letter.offset in self.offsets
            and (not self.codes or letter.code in self.codes)
            and (not self.jobs or letter.job_id in self.jobs)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is known of one dead letter. It holds no value: there may be any number of them."""

    offset: int
    """Its offset in the dead-letter topic."""
    code: str
    """The error's code."""
    job_id: str
    """The job, or the record's key if its value isn't there or is no job."""
    message: str
    """Why the job failed; of what is no dead letter, why it is none."""
    failed_at: datetime | None = None
    source: Source | None = None
    """The job record. None: this is no dead letter."""
    image: ImageReference | None = None
    """The photo, if the job can be read."""
    omitted: str | None = None
    """The size of the value, or `unreadable`, if the letter doesn't contain it."""
    redrive_of: str | None = None
    """The dead letter that the failed record was made of, if it was redriven."""
    redrives: int = 0
    """How often the failed record had been redriven."""


async def read_letters(
    settings: KafkaSettings, wanted: range, *, progress: Progress | None = None
) -> AsyncGenerator[tuple[Letter, AnyRecord], None]:
    """Yield the dead letters at these offsets, each with its record.

    Raises:
        ServiceError: Kafka doesn't answer.
    """
    records = scan(settings, settings.dead_letter_topic, wanted, progress=progress)
    async with aclosing(records):
        async for record in records:
            yield read_letter(record), record


def read_letter(record: AnyRecord) -> Letter:
    """Read a record of the dead-letter topic, whatever is in it."""
    try:
        if isinstance(record, UnreadableRecord):
            raise InvalidMessage(record.reason)
        facts = DeadLetter.read(record.headers)
        arrived = arrived_headers(record.headers)
    except InvalidMessage as error:
        return Letter(
            offset=record.offset, code=NO_LETTER, job_id=_key(record), message=str(error)[:1000]
        )
    job = _job(record)
    return Letter(
        offset=record.offset,
        code=facts.error_code,
        job_id=job.job_id if job else _key(record),
        message=facts.exception_message,
        failed_at=facts.failed_at,
        source=Source(topic=facts.topic, partition=facts.partition, offset=facts.offset),
        image=job.image_reference if job else None,
        omitted=facts.value_omitted,
        redrive_of=redrive_of(arrived),
        redrives=redrives(arrived),
    )


def _job(record: AnyRecord) -> Job | None:
    try:
        return Job.read(record.value)
    except InvalidMessage:
        return None


def _key(record: AnyRecord) -> str:
    return (record.key or b"")[: 4 * _LONGEST_KEY].decode(errors="replace")[:_LONGEST_KEY]
