"""An attempt at a job: its stages, what it publishes of itself, and the outcome that it ends in."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from consumer.errors import JobFailed, Unavailable
from consumer.job.collaborators import AttemptLedger, EventPublisher
from consumer.job.events import status_event
from consumer.job.outcome import Failure, Outcome
from consumer.job.photo import fetch_photo
from consumer.job.record import Record
from consumer.job.services import Services
from consumer.job.turns import Turn
from consumer.telemetry.secrets import Secrets
from schemas import redrive
from schemas.errors import InvalidMessage
from schemas.job import Job
from schemas.status import ErrorCode, ErrorInfo, ModelInfo, Result, TimingsMs
from segmentation.errors import SegmentationError
from segmentation.model.engine import Engine
from segmentation.segment import Segmentation

log = structlog.get_logger()

_GET_OBJECT = {"rpc__system": "aws-api", "rpc__service": "S3", "rpc__method": "GetObject"}

RETRIES_PUBLISHED = 10
"""The first waits of an attempt are all published, later ones once in `REPUBLISH_SECONDS`."""
REPUBLISH_SECONDS = 60.0


class Attempt:
    """One attempt at a record's job: how far it has come, and how long each stage took."""

    def __init__(
        self,
        record: Record,
        *,
        services: Services,
        publisher: EventPublisher,
        ledger: AttemptLedger,
    ) -> None:
        self._record = record
        self._services = services
        self._publisher = publisher
        self._ledger = ledger
        self._number = ledger.attempt(record.offset)
        self.trace = services.tracing.attempt(
            record.topic,
            parent=record.traceparent,
            messaging__destination__partition__id=str(record.partition),
            messaging__kafka__offset=record.offset,
            mask__attempt=self._number,
        )
        """From the record to its terminal event."""
        self._begin = time.perf_counter()
        self._timings: dict[str, float] = {}
        if record.timestamp_ms > 0:
            self._timings["queued"] = max(0.0, time.time() * 1000 - record.timestamp_ms)
        self._job: Job | None = None
        self._model: ModelInfo | None = None
        self._began = False
        self._retried = False
        self._retries = 0
        self._published_at = 0.0

    def read(self) -> Job:
        """Read the job from its record; raise `InvalidMessage` where it isn't one."""
        if self._record.unreadable:
            raise InvalidMessage(f"the record can't be read: {self._record.unreadable}")
        # The producer's own is never looked into, and may be as large as the record.
        job = Job.read(self._record.value).model_copy(update={"metadata": {}})
        self._job = job
        structlog.contextvars.bind_contextvars(job_id=job.job_id)
        self.trace.note(mask__job_id=job.job_id)
        if how := _repeats(self._record, job):
            self.trace.repeats(how)
        return job

    async def run(self, job: Job, fetch: Turn, segmentation: Turn) -> Outcome:
        """Fetch, segment, upload; raise whatever is wrong with the job."""
        model = self._services.catalog.model(job.model)
        self._model = ModelInfo(name=model.manifest.name, sha256=model.manifest.sha256)
        self._services.callback.check(job.callback_url)
        self._check_crashes()
        await self._publish_start()
        photo = await self._fetch(job, fetch)
        masks = await self._segment(photo, job, model, segmentation)
        del photo  # up to MAX_IMAGE_BYTES, of no use while the callback is under way
        return self._completed(masks, await self._upload(masks, job))

    def cancelled(self) -> Outcome:
        """The outcome of a job that a user cancelled."""
        return Outcome(
            self._record,
            "cancelled",
            self._number,
            job=self._job,
            model=self._model,
            timings=self._timings_ms(),
            trace=self.trace,
        )

    def failed(self, error: Exception) -> Outcome:
        """The outcome of a job that `error` ended."""
        info = _error_info(error, self._services.secrets)
        self.trace.fail(info.code)
        return Outcome(
            self._record,
            "failed",
            self._number,
            job=self._job,
            model=self._model,
            failure=Failure(
                info,
                f"{type(error).__module__}.{type(error).__qualname__}",
            ),
            timings=self._timings_ms(),
            trace=self.trace,
        )

    async def publish_abandoned(self) -> None:
        """Publish that a live process gives the job up: the ledger must not count a crash.

        Raises:
            LaneLost: the event can't be published.
        """
        if self._began:
            await self._publish_retry(
                "internal_error",
                "the consumer left; the next owner begins the job again",
                stage="line",
            )

    async def _fetch(self, job: Job, turn: Turn) -> bytes:
        await turn.come()
        # The next job wakes up only when this fetch has been handed to its thread.
        turn.pass_on()
        log.debug("fetch.started")
        with self._timed("fetch"), self.trace.step("fetch", kind="client", **_GET_OBJECT):
            photo = await fetch_photo(
                job.image_reference,
                sha256=job.image_sha256,
                images=self._services.images,
                holds=self._services.holds,
                max_attempts=self._services.max_attempts,
                on_retry=self._retrying,
            )
        if self._retried:
            await self._publish_start()
        return photo

    async def _segment(self, photo: bytes, job: Job, model: Engine, turn: Turn) -> Segmentation:
        inference = self._services.inference
        await turn.come()
        async with inference.slot() as slot:
            turn.pass_on()
            log.debug("segmentation.started")
            try:
                with self.trace.step("segmentation", mask__model=model.manifest.name):
                    masks = await slot.segment(photo, model=model, outputs=job.outputs)
                    return self._segmented(masks)
            except Unavailable as error:
                failed = error
        # Out of its slot: while it waits for the model's server, jobs of other models go on.

        async def again() -> Segmentation:
            await inference.check(model)
            async with inference.slot() as slot:
                await self._publish_start()
                return await slot.segment(photo, model=model, outputs=job.outputs)

        return self._segmented(
            await self._services.holds.until_available(
                again, on_retry=self._retrying, failed=failed
            )
        )

    def _segmented(self, masks: Segmentation) -> Segmentation:
        self._timings.update(masks.timings_ms)
        self.trace.stages(masks.timings_ms)
        return masks

    async def _upload(self, masks: Segmentation, job: Job) -> dict[str, str]:
        with self._timed("callback"), self.trace.step("callback"):
            return await self._services.callback.post(
                record=self._record,
                job=job,
                files=masks.files,
                on_retry=self._retrying,
                trace=self.trace,
            )

    def _completed(self, masks: Segmentation, stored_keys: dict[str, str]) -> Outcome:
        result = Result(
            stored_keys=stored_keys,
            width=masks.width,
            height=masks.height,
            coverage={name: round(share, 6) for name, share in masks.coverage.items()},
        )
        return Outcome(
            self._record,
            "completed",
            self._number,
            job=self._job,
            model=self._model,
            result=result,
            timings=self._timings_ms(),
            trace=self.trace,
        )

    def _check_crashes(self) -> None:
        crashes = self._ledger.crashes(self._record.offset)
        # Other jobs were under way at its first crash. It ran alone at the second one.
        if crashes >= max(2, self._services.max_attempts):
            raise JobFailed(
                "crash_loop",
                f"the process died {crashes} times while it was at this job (MAX_ATTEMPTS)",
                stage="segment",
            )

    async def _publish_start(self) -> None:
        """Publish that the work begins or goes on; a crash after this counts against the job."""
        event = status_event(
            self._record, "processing", job=self._job, model=self._model, attempt=self._number
        )
        self._began = True  # before: the event may be published and its answer be lost
        at = await self._publisher.publish(event, self._record)
        self._retries = 0  # the next wait is told, or a death in it would count as a crash
        self._ledger.started(self._record.offset, self._number, at=at)

    async def _retrying(self, reason: Unavailable, wait_seconds: float) -> None:
        self._retried = True
        log.warning("job.retried", code=reason.code, reason=str(reason), wait=wait_seconds)
        self.trace.tell("retrying", error__type=reason.code, mask__wait_seconds=wait_seconds)
        if self._is_told_again():
            await self._publish_retry(reason.code, str(reason), stage=reason.stage)

    def _is_told_again(self) -> bool:
        """Whether a wait is published: at first each, and later one in a while.

        Whoever opens the lane next reads all events since the job was begun.
        """
        now = time.monotonic()
        if self._retries >= RETRIES_PUBLISHED and now - self._published_at < REPUBLISH_SECONDS:
            return False
        self._retries += 1
        self._published_at = now
        return True

    async def _publish_retry(self, code: ErrorCode, message: str, *, stage: str) -> None:
        shown = self._services.secrets.hide(message)
        error = ErrorInfo(code=code, message=shown, stage=stage, retryable=True)
        event = status_event(
            self._record,
            "retrying",
            job=self._job,
            model=self._model,
            error=error,
            attempt=self._number,
        )
        await self._publisher.publish(event, self._record)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._timings[stage] = (time.perf_counter() - begin) * 1000

    def _timings_ms(self) -> TimingsMs:
        total = (time.perf_counter() - self._begin) * 1000
        timings = {**self._timings, "total": total}
        return TimingsMs(**{stage: round(value, 1) for stage, value in timings.items()})


def _repeats(record: Record, job: Job) -> str:
    """Say how the job repeats an earlier one, if it does."""
    redriven = any(name == redrive.OF for name, _ in record.headers)
    return "redrive" if redriven else "replay" if job.replay_of is not None else ""


def _error_info(error: Exception, secrets: Secrets) -> ErrorInfo:
    code: ErrorCode = "internal_error"
    stage = "unknown"
    match error:
        case InvalidMessage():
            code, stage = error.code, "intake"
        case JobFailed():
            code, stage = error.code, error.stage
        case SegmentationError():
            code, stage = error.code, "segment"
        case _:
            log.error("job.broken", exc_info=error)
    message = secrets.hide(str(error) or repr(error))
    return ErrorInfo(code=code, message=message, stage=stage, retryable=False)
