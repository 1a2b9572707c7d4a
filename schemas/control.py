"""Messages of the control topic. So far there is one: a request to cancel a job."""

from typing import Annotated

from pydantic import Field

from schemas.message import Count, JobId, Message
from schemas.timestamp import Timestamp


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
