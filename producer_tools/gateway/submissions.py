"""Takes photos into the line: S3 first, then the record; done when this gateway's view shows it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from producer_tools.client.appending import Appender, Headers
from producer_tools.client.new_job import NewJob, headers, write_job
from producer_tools.client.uploads import Uploads
from producer_tools.errors import InvalidJobError, PhotoError, ServiceError
from producer_tools.gateway.form import Upload
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.queue import Places, Taken
from producer_tools.gateway.refusal import Refused, bad, no_room, unavailable
from producer_tools.gateway.storage import Storage
from producer_tools.view.messages import now_ms
from producer_tools.view.queries import Queries, Story
from schemas.job import Batch, Job

UPLOADS_AT_ONCE = 16
_ANSWER_SECONDS = 9.0
"""From the first record's append to the moment in which the view shows the last."""
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller submits: a photo, or several as a batch."""

    user_id: str
    uploads: Sequence[Upload]
    model: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None
    """The caller's own name for the job. None: a random one."""
    batch_id: str | None = None
    """The name of the batch. None: the photo is a job by itself."""
    idempotency_key: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job in the topic: of a batch, its first."""

    story: Story
    again: bool
    """Whether it was there before."""


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
    ) -> None:
        self._storage = storage
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._keeper = keeper
        self._uploads = uploads
        self._appender = appender
        self._places = places
        self._named: dict[object, _Named] = {}

    async def submit(self, order: Order) -> Accepted:
        """Queue the photos. Return when all replicas and this gateway's view have them.

        Raises:
            Refused: They aren't queued, or a service failed; then they may be, all or none.
        """
        async with self._alone(order):
            earlier = await self._earlier(order)
            if earlier is not None:
                return Accepted(earlier, again=True)
            async with self._places.take(len(order.uploads)) as taken:
                jobs = await self._store(order)
                taken.sent = True
                offsets = await self._append(jobs, taken)
            story = await self._keeper.ask(lambda queries: queries.record(offsets[0]))
        if story is None:  # the topic was made anew in this moment
            raise unavailable("the job isn't there any more")
        return Accepted(story, again=False)

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
            return await self._keeper.ask(lambda queries: _of_key(queries, order, key, since))
        if order.job_id is not None:
            story = await self._keeper.ask(lambda queries: queries.job(order.job_id or ""))
            if story and not story.row.shown.ended and _is_same(story, order, order.uploads[0]):
                return story
        return None

    async def _store(self, order: Order) -> list[tuple[Job, Headers]]:
        """Put the photos into S3, and return their jobs."""
        size = len(order.uploads)
        news = [_new_job(order, index, size, self._uploads) for index in range(size)]
        jobs = [(_write(new), headers(new)) for new in news]  # checked before anything is stored
        try:
            async with asyncio.TaskGroup() as group:
                for upload, (job, _) in zip(order.uploads, jobs, strict=True):
                    group.create_task(self._put(upload, job))
        except* Refused as errors:
            raise errors.exceptions[0] from None
        return jobs

    async def _put(self, upload: Upload, job: Job) -> None:
        """Put a photo into S3. Where S3 is away, those that wait for their turn needn't try."""
        async with self._slots:
            self._storage.check()
            try:
                await self._uploads.put(upload.content, job.image_reference)
            except PhotoError as error:
                raise no_room(str(error)) from error
            except ServiceError as error:
                self._storage.note(error)
                raise unavailable(str(error)) from error

    async def _append(self, jobs: Sequence[tuple[Job, Headers]], taken: Taken) -> list[int]:
        """Append the jobs, and wait until the view shows them."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if len(jobs) == 1:
                    offsets = [await self._appender.append(*jobs[0])]
                else:
                    offsets = await self._appender.append_batch(jobs)
                taken.end = offsets[-1] + 1
                await self._keeper.reach(taken.end)
        except TimeoutError:
            raise unavailable("Kafka didn't answer in time; the job may be queued.") from None
        except ServiceError as error:
            raise unavailable(str(error)) from error
        return offsets


def _new_job(order: Order, index: int, size: int, uploads: Uploads) -> NewJob:
    upload = order.uploads[index]
    batch, name = None, order.job_id or str(uuid.uuid4())
    if order.batch_id is not None:
        batch = Batch(batch_id=order.batch_id, index=index, size=size)
        name = f"{order.batch_id}:{index}"
    metadata = {"filename": upload.filename, **order.metadata}
    if order.idempotency_key is not None:
        metadata["idempotency_key"] = order.idempotency_key
    return NewJob(
        job_id=name,
        photo=uploads.new_reference(),
        image_sha256=upload.sha256,
        user_id=order.user_id,
        model=order.model,
        batch=batch,
        metadata=metadata,
        traceparent=order.traceparent,
    )


def _write(new: NewJob) -> Job:
    try:
        return write_job(new, new.photo)  # type: ignore[arg-type]
    except InvalidJobError as error:
        raise bad(str(error)) from error


def _of_key(queries: Queries, order: Order, key: str, since: int) -> Story | None:
    story = queries.by_idempotency_key(key, order.user_id, since)
    if story is None:
        return None
    rows = [story.row]
    if story.row.batch_id is not None:
        rows = queries.batch_records(story.row.batch_id)
    stories = [found for row in rows if (found := queries.record(row.offset))]
    if len(stories) != len(order.uploads) or not all(
        _is_same(each, order, upload) for each, upload in zip(stories, order.uploads, strict=True)
    ):
        raise Refused(409, "The Idempotency-Key was used for another request within a day.")
    return story


def _is_same(story: Story, order: Order, upload: Upload) -> bool:
    """Whether a job says what an order says."""
    known = story.job.get("metadata", {})
    wanted = {"filename": upload.filename, **order.metadata}
    return (
        (order.job_id in (None, story.row.job_id))
        and story.job.get("image_sha256") == upload.sha256
        and story.row.user_id == order.user_id
        and story.job.get("model") == order.model
        and all(known.get(name) == value for name, value in wanted.items() if value is not None)
    )
