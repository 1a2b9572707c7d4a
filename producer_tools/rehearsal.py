"""A job that goes through the line and is never done: `python -m producer_tools.rehearsal SECONDS`.

Its cancel is written before the job is, so nothing is read from S3, nothing reaches a receiver, and
nothing becomes a dead letter. `helm test` runs this.
"""

import asyncio
import sys
from contextlib import aclosing

from consumer.errors import StartError
from consumer.settings import KafkaSettings, S3Settings, load
from producer_tools.client.client import Client
from producer_tools.client.line import group_members, halted_behind, unsettled
from producer_tools.client.new_job import Ended, NewJob
from producer_tools.errors import ToolError
from schemas.job import ImageReference

FAR_BEHIND = 100
"""With more records than this before it, nobody waits for a rehearsal."""
HEAR_SECONDS = 2.0
"""So long after the cancel comes the job: the owner hears cancels within milliseconds."""
_AHEAD = 1_000_000
_ENDED_WRONGLY, _TIMED_OUT = 1, 5


def main() -> None:
    """Rehearse, say in one line what came of it, and exit with a code of `maskline`."""
    seconds = float(sys.argv[1])
    try:
        said, code = asyncio.run(rehearse(load(KafkaSettings), load(S3Settings), seconds=seconds))
    except (ToolError, StartError) as error:
        said, code = str(error), error.exit_code
    print(said)
    raise SystemExit(code)


async def rehearse(kafka: KafkaSettings, s3: S3Settings, *, seconds: float) -> tuple[str, int]:
    """Send a job through the line behind its own cancel; give words for people and an exit code.

    A line with much to do is left alone: that is no failure.

    Raises:
        ServiceError: Kafka can't be reached, or a topic is missing.
    """
    if (halted := await halted_behind(kafka)) is not None:
        return f"The line has halted behind offset {halted}: `maskline doctor` says why", 1
    if (waiting := await unsettled(kafka)) > FAR_BEHIND:
        return f"The line has {waiting} jobs before it, too many to wait: nothing was submitted", 0
    async with Client(kafka, s3) as client:
        job = NewJob(photo=ImageReference(s3.upload_bucket, "rehearsal"), user_id="rehearsal")
        await client.cancel([job.job_id], reason="a rehearsal", ahead=_AHEAD)
        await asyncio.sleep(HEAR_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                submitted = await client.submit(job)
                async with aclosing(client.wait([submitted])) as ends:
                    return _judged(await anext(ends))
        except TimeoutError:
            members = await group_members(kafka)
            return (
                f"The job {job.job_id} hasn't ended in {seconds:g} s, with {members} consumers in"
                " the line's group. It stays cancelled; `maskline doctor` says what is wrong",
                _TIMED_OUT,
            )


def _judged(ended: Ended) -> tuple[str, int]:
    where = f"The job {ended.submitted.job.job_id} at offset {ended.submitted.offset}"
    if ended.state == "cancelled":
        return f"{where} went through the line and was cancelled, as it was to be", 0
    return f"{where} is {ended.state}, though its cancel came first", _ENDED_WRONGLY


if __name__ == "__main__":
    main()
