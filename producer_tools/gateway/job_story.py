"""`/api/v1/jobs/{id}`: one job's story, from its submit to its end."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from producer_tools.errors import ServiceError
from producer_tools.gateway.common import age, errors
from producer_tools.gateway.events import Message
from producer_tools.gateway.finding import find_job, not_found
from producer_tools.gateway.job_facts import JobFacts, facts
from producer_tools.gateway.parts import Parts
from producer_tools.view.queries import Queries, Story
from producer_tools.view.rows import Row

_LONGEST_MESSAGE = 1000
_MOST_EVENTS = 50
_MOST_READ = 2000
_READ_SECONDS = 3.0


class JobStory(JobFacts):
    """All that is known of a job."""

    topic: str
    position: int | None
    image: str | None
    model_asked: str | None
    outputs_asked: list[str] | None
    model_sha256: str | None
    metadata: dict[str, Any]
    replay_of: str | None
    trace_id: str | None
    result: dict[str, Any] | None
    timings_ms: dict[str, float | None] | None
    events: list[dict[str, Any]]
    """Its status events as they are in the topic, oldest first; of a long story the latest."""


@dataclass(frozen=True, slots=True)
class _Stories:
    parts: Parts

    async def story(self, job_id: str) -> JSONResponse:
        """Tell a job's story: what it asks for, each attempt, and what came of it."""
        keeper = self.parts.keeper
        story = await find_job(keeper, job_id)
        if story is None:
            raise not_found(job_id, self.parts.settings.view.job_ttl_seconds)
        row = story.row

        def place(queries: Queries) -> int | None:
            return queries.position(row)

        told = self._told(story, await keeper.ask(place), await self._events(story))
        return JSONResponse(told.model_dump(mode="json"), headers=dict(age(keeper)))

    def _told(self, story: Story, position: int | None, events: list[dict[str, Any]]) -> JobStory:
        event, job = story.event, story.job
        ended = event if story.row.shown.ended else None
        return JobStory(
            **facts(story, longest_message=_LONGEST_MESSAGE),
            topic=self.parts.settings.kafka.jobs_topic,
            position=position,
            image=job.get("image"),
            model_asked=job.get("model"),
            outputs_asked=job.get("outputs"),
            model_sha256=event.model.sha256 if event and event.model else None,
            metadata=job.get("metadata", {}),
            replay_of=job.get("replay_of"),
            trace_id=job.get("trace_id"),
            result=ended.result.model_dump() if ended and ended.result else None,
            timings_ms=ended.timings_ms.model_dump() if ended and ended.timings_ms else None,
            events=events,
        )

    async def _events(self, story: Story) -> list[dict[str, Any]]:
        """Return the events of a job; the latest alone if the others can't be had in time."""
        if story.row.event_offset is None:
            return []
        found = self.parts.hub.kept_of(story.row.offset)
        if not found or not _is_first(found[0]):
            found = await self._read(story.row, story.row.event_offset) or found
        if not found and story.event is not None:
            return [json.loads(story.event.write())]
        return [_event(message) for message in found[-_MOST_EVENTS:]]

    async def _read(self, row: Row, latest: int) -> list[Message]:
        """Read a job's events in the topic."""
        places = self.parts.settings.line.max_in_flight

        def before(queries: Queries) -> int | None:
            return queries.event_before(row, places)

        after = await self.parts.keeper.ask(before)
        after = -1 if after is None else after
        read: dict[int, Message] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async with aclosing(self.parts.hub.history(after)) as events:
                    async for message in events:
                        read[message.offset] = message
                        if message.offset >= latest or len(read) >= _MOST_READ:
                            break
        except (ServiceError, TimeoutError):
            pass  # what was read until then is a part of the story
        kept = {message.offset: message for message in self.parts.hub.kept_of(row.offset)}
        return [each for _, each in sorted((read | kept).items()) if each.source == row.offset]


def router(parts: Parts) -> APIRouter:
    """Return the call."""
    calls = APIRouter(prefix="/api/v1", tags=["page"])
    calls.add_api_route(
        "/jobs/{job_id}", _Stories(parts).story, response_model=JobStory, responses=errors(404)
    )
    return calls


def _is_first(message: Message) -> bool:
    """Whether this event began the job's first attempt."""
    event = _event(message)
    return event.get("state") == "processing" and event.get("attempt") == 1


def _event(message: Message) -> dict[str, Any]:
    _, _, data = message.frame.partition(b"\ndata: ")
    event: dict[str, Any] = json.loads(data)
    return event
