"""Takes photos into the line: S3 first, then the record; done when this gateway's view shows it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from consumer.telemetry.tracing import Trace, Tracing
from producer_tools.client.appending import Appender, Headers
from producer_tools.client.new_job import headers
from producer_tools.client.uploads import Uploads
from producer_tools.errors import PhotoError, ServiceError
from producer_tools.gateway.form import Upload
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.orders import Order, is_same, new_job, of_key, write
from producer_tools.gateway.queue import Places, Taken
from producer_tools.gateway.refusal import Refused, no_room, unavailable
from producer_tools.gateway.storage import Storage
from producer_tools.view.messages import now_ms
from producer_tools.view.queries import Queries, Story
from schemas.job import Job

T = TypeVar("T")

UPLOADS_AT_ONCE = 16
_ANSWER_SECONDS = 9.0
"""From the first record's append to the moment in which the view shows the last."""
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class _Sending:
    """A job that is about to be sent."""

    job: Job
    headers: Headers
    trace: Trace


@dataclass(slots=True)
class _Named:
    """A name under which something is submitted."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    submits: int = 0
    """So many are under way, or wait for the lock."""


class Submissions:
    """What submits need, and the submits that are under way."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        storage: Storage,
        uploads: Uploads,
        appender: Appender,
        places: Places,
        tracing: Tracing,
        jobs_topic: str,
    ) -> None:
        self._tracing = tracing
        self._jobs_topic = jobs_topic
        self._storage = storage
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._keeper = keeper
        self._uploads = uploads
        self._appender = appender
        self._places = places
        self._named: dict[object, _Named] = {}

    async def submit(self, order: Order, show: Callable[[Queries, Story], T]) -> T:
        """Queue the photos, and return what is to be shown of the job: of a batch, of its first.

        All replicas and this gateway's view have them then. What was queued before under the same
        key, or name, isn't queued again.

        Raises:
            Refused: They aren't queued, or a service failed; then they may be, all or none.
        """
        async with self._alone(order):
            earlier = await self._earlier(order)
            offset = await self._queue(order) if earlier is None else earlier.row.offset
            shown = await self._keeper.ask(lambda queries: _shown(queries, offset, show))
        if shown is None:  # the topic was made anew in this moment
            raise unavailable("the job isn't there any more")
        return shown

    async def _queue(self, order: Order) -> int:
        """Queue the photos, and return the offset of the first one's record."""
        async with self._places.take(len(order.uploads)) as taken:
            with ExitStack() as spans:
                sendings = self._begin(order, spans)
                await self._store(order.uploads, sendings)
                taken.sent = True
                return (await self._append(sendings, taken, spans))[0]

    @asynccontextmanager
    async def _alone(self, order: Order) -> AsyncIterator[None]:
        """Let submits under one name, or one key, come one after another."""
        name = (order.user_id, order.idempotency_key) if order.idempotency_key else order.job_id
        if name is None:
            yield
            return
        named = self._named.setdefault(name, _Named())
        named.submits += 1
        try:
            async with named.lock:
                yield
        finally:
            named.submits -= 1
            if not named.submits:
                del self._named[name]

    async def _earlier(self, order: Order) -> Story | None:
        """Return the job of this key, or of this name, that is there already.

        Raises:
            Refused: 409, the key was used for something else.
        """
        key = order.idempotency_key
        if key is not None:
            since = now_ms() - _DAY_MS
            return await self._keeper.ask(lambda queries: of_key(queries, order, key, since))
        if order.job_id is not None:
            story = await self._keeper.ask(lambda queries: queries.job(order.job_id or ""))
            if story and not story.row.shown.ended and is_same(story, order, order.uploads[0]):
                return story
        return None

    def _begin(self, order: Order, spans: ExitStack) -> list[_Sending]:
        """Return the jobs of the photos, each with a span that `spans` ends."""
        news = [new_job(order, index, self._uploads) for index in range(len(order.uploads))]
        jobs = [write(new) for new in news]  # checked before anything is stored
        sendings = []
        for new, job in zip(news, jobs, strict=True):
            trace = self._tracing.submission(self._jobs_topic, parent=order.traceparent)
            trace.note(mask__job_id=job.job_id)
            spans.push(partial(_end, trace))
            sendings.append(_Sending(job, headers(new, span=trace.traceparent), trace))
        return sendings

    async def _store(self, uploads: Sequence[Upload], sendings: Sequence[_Sending]) -> None:
        """Put the photos into S3."""
        try:
            async with asyncio.TaskGroup() as group:
                for upload, sending in zip(uploads, sendings, strict=True):
                    group.create_task(self._put(upload, sending))
        except* Refused as errors:
            raise errors.exceptions[0] from None

    async def _put(self, upload: Upload, sending: _Sending) -> None:
        """Put a photo into S3. Where S3 is away, those that wait for their turn needn't try."""
        async with self._slots:
            self._storage.check()
            try:
                with sending.trace.current(), sending.trace.step("upload"):
                    await self._uploads.put(upload.content, sending.job.image_reference)
            except PhotoError as error:
                raise no_room(str(error)) from error
            except ServiceError as error:
                self._storage.note(error)
                raise unavailable(str(error)) from error

    async def _append(
        self, sendings: Sequence[_Sending], taken: Taken, spans: ExitStack
    ) -> list[int]:
        """Append the jobs, which ends their spans, and wait until the view shows them."""
        jobs = [(each.job, each.headers) for each in sendings]
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if len(jobs) == 1:
                    offsets = [await self._appender.append(*jobs[0])]
                else:
                    offsets = await self._appender.append_batch(jobs)
                for each, offset in zip(sendings, offsets, strict=True):
                    each.trace.note(messaging__kafka__offset=offset)
                spans.close()
                taken.end = offsets[-1] + 1
                await self._keeper.reach(taken.end)
        except TimeoutError:
            raise unavailable("Kafka didn't answer in time; the job may be queued.") from None
        except ServiceError as error:
            raise unavailable(str(error)) from error
        return offsets


def _end(
    trace: Trace, kind: type[BaseException] | None, _error: object, _traceback: object
) -> None:
    """End a span; an exception fails it."""
    if kind is not None:
        trace.fail(kind.__name__)
    trace.end()


def _shown(queries: Queries, offset: int, show: Callable[[Queries, Story], T]) -> T | None:
    story = queries.record(offset)
    return None if story is None else show(queries, story)
