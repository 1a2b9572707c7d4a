"""Finds jobs in the view; that there is none is said only of a view that has all there is."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from producer_tools.gateway.common import compact
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.refusal import Refused
from producer_tools.gateway.sizes import duration
from producer_tools.view.messages import now_ms
from producer_tools.view.queries import Queries, Story

T = TypeVar("T")

_LONGEST_ID = 200
_HEX = 8


async def find(keeper: Keeper, name: str, question: Callable[[Queries], T | None]) -> T | None:
    """Answer a question about a job or a batch. None: there is none of this name.

    Raises:
        Refused: The view can't be used, or not all that there is can be seen.
    """
    if len(name) > _LONGEST_ID:
        keeper.check()
        return None
    found = await keeper.ask(question)
    if found is None:
        await keeper.catch_up()
        found = await keeper.ask(question)
    return found


async def find_job(keeper: Keeper, job_id: str) -> Story | None:
    """Return the latest record of a job. None: there is none. Errors: `find`."""
    return await find(keeper, job_id, lambda queries: queries.job(job_id))


def not_found(job_id: str, ttl: int) -> Refused:
    """Return the refusal of a job that isn't there, in seed 3's sentence."""
    kept = duration(ttl)
    return Refused(
        404,
        f"Job {job_id[:_LONGEST_ID]} not found. It may have been cleaned up"
        f" (jobs are kept for {kept} after completion).",
    )


def result_name(story: Story, model: str) -> str:
    """Return the name under which a job's result is given."""
    row = story.row
    seed = story.job.get("metadata", {}).get("seed")
    seeded = f"_s{seed}" if isinstance(seed, int) else ""
    digest = hashlib.sha256(f"{row.job_id}/{row.offset}".encode()).hexdigest()[:_HEX]
    return f"{model}_{compact(row.ended_ms or row.record_ms)}{seeded}_{digest}.png"


def is_gone(story: Story, ttl: int) -> bool:
    """Whether the job ended more than `ttl` seconds ago."""
    row = story.row
    return row.shown.ended and (row.ended_ms or row.record_ms) < now_ms() - ttl * 1000
