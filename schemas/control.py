"""Messages of the control topic: requests to cancel a job, and to lift a halt."""

from typing import Annotated

from pydantic import Field

from schemas.message import Count, JobId, Message
from schemas.timestamp import Timestamp

RESUME_KEY = b"!resume"
"""The key of every resume. No job id begins like this."""


class Cancel(Message):
    """Cancel the records of a job before an offset. A later job with the same id is unaffected."""

    job_id: JobId
    """The job. It is also the record's key."""
    before_offset: Count
    """The end offset of the jobs topic at the time of the request. Records of the job with a
    smaller offset are cancelled."""
    requested_at: Timestamp
    """When the cancel was requested."""
    reason: Annotated[str, Field(max_length=500)] | None = None
    """Why, as free text."""


class Resume(Message):
    """Lift a halt for dead letters in a row. The record's key is `!resume`."""

    after_offset: Count
    """A halt is lifted if its last settled record has this offset or a smaller one."""
    requested_at: Timestamp
    """When the resume was requested."""
