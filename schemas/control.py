"""What an operator asks of the line: so far, to cancel a job."""

from typing import Annotated

from pydantic import Field

from schemas.message import Count, JobId, Message
from schemas.timestamp import Timestamp


class Cancel(Message):
    """Cancel a job's records before an offset; a later job of the same id is untouched."""

    job_id: JobId
    """The job; also the record's key."""
    before_offset: Count
    """The jobs topic's end when it was asked: records of the job below it are cancelled."""
    requested_at: Timestamp
    """When it was asked."""
    reason: Annotated[str, Field(max_length=500)] | None = None
    """Why, in the asker's words."""
