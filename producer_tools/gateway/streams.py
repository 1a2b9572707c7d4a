"""`/api/v1/events` and `/api/v1/jobs/{id}/events`: server-sent events."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from producer_tools.errors import ServiceError
from producer_tools.gateway.common import errors
from producer_tools.gateway.events import Message, Stream
from producer_tools.gateway.finding import find_job, not_found
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.refusal import bad, unavailable
from producer_tools.view.queries import Story
from producer_tools.view.tables import Shown

BEAT_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_OPEN, _BEAT = b"retry: 2000\n: open\n\n", b": beat\n\n"
_GONE = b": the event of this id is gone; this begins at the earliest one\n\n"
_PASSED_OVER = b": the line went on behind this job's record without an event\n\n"
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "A stream of events."}
}

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


@dataclass(frozen=True, slots=True)
class _Streams:
    parts: Parts

    async def all(self, last_event_id: LastEventId = None) -> Response:
        """Stream the events of all jobs, from now on or after `Last-Event-ID`."""
        self.parts.keeper.check()
        self.parts.hub.check()
        after = _offset(last_event_id)
        gone = False
        if after is not None and self.parts.hub.kept_after(after) is None:
            try:
                gone = after + 1 < await self.parts.hub.first_offset()
            except ServiceError as error:
                raise unavailable(str(error)) from error
        return _response(self._all(after, gone=gone))

    async def one(self, job_id: str, last_event_id: LastEventId = None) -> Response:
        """Stream the events of a job: its latest, and those that follow until it has ended."""
        self.parts.hub.check()
        after = _offset(last_event_id)
        story = await find_job(self.parts.keeper, job_id)
        if story is None:
            raise not_found(job_id, self.parts.settings.view.job_ttl_seconds)
        return _response(self._one(story, after))

    async def _all(self, after: int | None, *, gone: bool) -> AsyncIterator[bytes]:
        yield _OPEN + (_GONE if gone else b"")
        hub = self.parts.hub
        if after is not None and hub.kept_after(after) is None:
            try:
                async with aclosing(hub.history(after)) as history:
                    async for message in history:
                        after = message.offset
                        yield message.frame
                after = max(after, (hub.kept_from or 0) - 1)
            except (ServiceError, TimeoutError):
                return  # the caller comes again, with the last id that it has seen
        with hub.stream() as stream:
            # No `await` between the two, so that no event is missed.
            kept = [] if after is None else hub.kept_after(after) or []
            if kept:
                yield b"".join(message.frame for message in kept)
            async for messages in _follow(stream):
                yield b"".join(message.frame for message in messages) or _BEAT

    async def _one(self, story: Story, after: int | None) -> AsyncIterator[bytes]:
        hub, offset = self.parts.hub, story.row.offset
        yield _OPEN
        with hub.stream(lambda message: message.source == offset) as stream:
            sent = -1 if after is None else after
            latest = await self._latest(offset)
            if latest is not None and latest.offset > sent:
                sent = latest.offset
                yield latest.frame
            if latest is not None and latest.terminal:
                return
            if await self._is_passed_over(offset):
                yield _PASSED_OVER
                return
            async for messages in _follow(stream):
                if not messages:
                    yield _BEAT
                for message in messages:
                    if message.offset > sent:
                        yield message.frame
                    if message.terminal:
                        return

    async def _latest(self, offset: int) -> Message | None:
        """Return a record's latest event. None: it has none, or Kafka doesn't give it.

        Of what comes while a stream is begun, the hub may know before the view does, or after it.
        """
        kept = self.parts.hub.kept_of(offset)  # before any `await`: the stream has what follows
        story = await self.parts.keeper.ask(lambda queries: queries.record(offset))
        known = -1 if story is None or story.row.event_offset is None else story.row.event_offset
        if kept and kept[-1].offset >= known:
            return kept[-1]
        try:
            return None if known < 0 else await self.parts.hub.at(known)
        except (ServiceError, TimeoutError):
            return None  # what comes next is seen all the same

    async def _is_passed_over(self, offset: int) -> bool:
        """Whether no further event comes, since the line went on without one."""
        story = await self.parts.keeper.ask(lambda queries: queries.record(offset))
        if story is None:
            return True
        row = story.row
        return row.shown is Shown.FAILED and not row.settled and row.user_id is not None


def router(parts: Parts) -> APIRouter:
    """Return the calls."""
    streams, calls = _Streams(parts), APIRouter(prefix="/api/v1", tags=["events"])
    calls.add_api_route(
        "/events",
        streams.all,
        response_class=StreamingResponse,
        responses={**_EVENTS, **errors(400)},
    )
    calls.add_api_route(
        "/jobs/{job_id}/events",
        streams.one,
        response_class=StreamingResponse,
        responses={**_EVENTS, **errors(400, 404)},
    )
    return calls


async def _follow(stream: Stream) -> AsyncIterator[list[Message]]:
    """Give the events as they come, and an empty list for every beat."""
    while True:
        messages = await stream.next(BEAT_SECONDS)
        if stream.ended and not messages:
            return
        yield messages


def _response(frames: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(frames, media_type="text/event-stream", headers=_HEADERS)


def _offset(given: str | None) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise bad("Last-Event-ID is no id of an event: those are numbers.")
    return int(given)
