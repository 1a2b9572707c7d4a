"""The callback: finished masks go to `MASK_ASSET_URL` or to the job's own `callback_url`."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Self

import structlog

from consumer.backoff import Backoff, parse_retry_after
from consumer.errors import JobFailed, StartError, Unavailable
from consumer.job.budgets import Budget, Budgets
from consumer.job.holds import Holds, OnRetry
from consumer.job.post import Answer, Poster, make_request
from consumer.job.record import Record
from consumer.job.signing import signature_headers
from consumer.job.upload import Upload
from consumer.settings import CallbackSettings
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.tracing import NO_TRACE, Trace
from http_client.origin import origin
from schemas import trace_context
from schemas.callback import (
    AUTH_HEADER,
    FIELDS,
    IDEMPOTENCY_HEADER,
    CallbackReply,
    idempotency_key,
)
from schemas.errors import InvalidMessage
from schemas.job import Job

log = structlog.get_logger()

RETRIES = 5
BACKOFF = Backoff(first=1.0, longest=16.0)
RETRIED = frozenset({408, 425, 429})
SET_UP_WRONGLY = frozenset({401, 403, 404, 405})
_SHOWN_BODY = 200


class _SetUpWrongly(Unavailable):
    """`MASK_ASSET_URL` refuses us, not the masks: only a person can mend that."""


class Callback:
    """Uploads masks, and decides what an answer means for the job and for the line."""

    def __init__(
        self,
        settings: CallbackSettings,
        *,
        holds: Holds,
        metrics: Metrics,
        replay_id: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`replay_id`: the replay run whose masks these are, if any."""
        self._url = settings.mask_asset_url
        self._replay_id = replay_id
        self._secrets = Secrets(settings.secrets())
        self._secret = _sendable(settings)
        self._signing_keys = settings.signing_keys
        self._allowed = frozenset(map(origin, settings.callback_allowed_origins))
        self._timeout = settings.callback_timeout_seconds
        self._budgets = Budgets(seconds=settings.callback_budget_seconds, clock=clock)
        self._poster = Poster(ca_file=settings.callback_ca_file)
        self._holds = holds
        self._metrics = metrics
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        await self._poster.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._poster.__aexit__()

    def renew(self, settings: CallbackSettings) -> None:
        """Send these settings' secrets from the next try on, where a header can carry them."""
        self._secrets.learn(settings.secrets())
        try:
            self._secret = _sendable(settings)
            self._signing_keys = settings.signing_keys
        except StartError as error:
            log.warning("secrets.not_renewed", reason=str(error))

    def check(self, url: str | None) -> None:
        """Refuse a `callback_url` that may not be called, before any work is done for it.

        Raises:
            JobFailed: `callback_forbidden`.
        """
        if url is None or url == self._url:
            return
        try:
            allowed = origin(url) in self._allowed
        except ValueError:
            allowed = False
        if not allowed:
            raise JobFailed(
                "callback_forbidden",
                "the origin of callback_url is not among CALLBACK_ALLOWED_ORIGINS",
                stage="callback",
            )

    async def post(
        self,
        *,
        record: Record,
        job: Job,
        files: Mapping[str, bytes],
        on_retry: OnRetry,
        trace: Trace = NO_TRACE,
    ) -> dict[str, str]:
        """Upload PNGs by output name; return where the receiver stored each.

        A receiver that can't take them now gets them again, with the same key, after 1, 2, 4, 8
        and 16 seconds; `MASK_ASSET_URL` then for as long as it lasts, as a hold.

        Raises:
            JobFailed: `callback_rejected`, `callback_forbidden`, or `callback_unavailable` of a
                job's own `callback_url`.
        """
        self.check(job.callback_url)
        upload = await self._upload(record, job, files, trace)
        post_once = partial(self._try, upload)
        try:
            return await self._with_retries(post_once, upload.budget, on_retry)
        except Unavailable as error:
            if upload.to_mask_asset_url:
                return await self._holds.until_available(post_once, on_retry=on_retry, failed=error)
            upload.budget.use_up()
            raise JobFailed(error.code, str(error), stage=error.stage) from error

    async def _upload(
        self, record: Record, job: Job, files: Mapping[str, bytes], trace: Trace
    ) -> Upload:
        source = record.source
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "maskline",
            IDEMPOTENCY_HEADER: idempotency_key(
                job.job_id, source.topic, source.partition, source.offset, self._replay_id
            ),
        }
        if record.traceparent is not None:
            headers[trace_context.HEADER] = record.traceparent
        url = job.callback_url or self._url
        ours = url == self._url
        where = origin(url)
        request = make_request(
            url,
            headers=headers,
            fields={name: getattr(job, name) for name in FIELDS},
            files=files,
        )
        return Upload(
            request=request,
            files=files,
            trace=trace,
            to_mask_asset_url=ours,
            budget=self._budgets.unlimited(where) if ours else self._budgets.begin(where),
            body_digest=await _digest(request.content) if ours and self._signing_keys else None,
        )

    async def _with_retries(
        self,
        post_once: Callable[[], Awaitable[dict[str, str]]],
        budget: Budget,
        on_retry: OnRetry,
    ) -> dict[str, str]:
        for retries in range(RETRIES):
            try:
                return await post_once()
            except _SetUpWrongly:
                raise
            except Unavailable as error:
                delay = max(BACKOFF.delay(retries), error.retry_after or 0.0)
                if not budget.allows_wait(delay):
                    raise
                await on_retry(error, delay)
                await self._sleep(delay)
        return await post_once()

    async def _try(self, upload: Upload) -> dict[str, str]:
        outcome = "rejected"
        try:
            answer = await self._send(upload)
            stored_keys = self._stored_keys(answer, upload)
            outcome = "stored"
        except Unavailable as error:
            outcome = "misconfigured" if isinstance(error, _SetUpWrongly) else "unavailable"
            raise
        finally:
            self._metrics.callback_tries.labels(outcome).inc()
        upload.budget.succeed()
        return stored_keys

    async def _send(self, upload: Upload) -> Answer:
        seconds = upload.budget.seconds_of_try(self._timeout)
        upload.request.headers[AUTH_HEADER] = self._secret  # it may be another than at the last try
        if upload.body_digest is not None and self._signing_keys:
            upload.request.headers.update(
                signature_headers(
                    self._signing_keys,
                    idempotency_key=upload.request.headers[IDEMPOTENCY_HEADER],
                    body_digest=upload.body_digest,
                    seconds=int(time.time()),
                )
            )
        try:
            return await upload.send(self._poster, seconds=seconds)
        except TimeoutError:
            reason = f"no answer in {seconds:.3g} s"
        except ConnectionError as error:
            reason = f"no answer: {error}"
        raise _unavailable(f"{upload.receiver} gave {reason}")

    def _stored_keys(self, answer: Answer, upload: Upload) -> dict[str, str]:
        """Read the answer as `stored_keys`; raise what it means where it isn't that."""
        shown = self._shown(answer)
        reason = f"{upload.receiver} answered {answer.status}{shown}"
        if answer.status in RETRIED or answer.status >= 500:
            retry_after = parse_retry_after(answer.retry_after)
            raise _unavailable(reason, retry_after=retry_after, quoted=shown)
        if answer.status in SET_UP_WRONGLY and upload.to_mask_asset_url:
            wrong = "MASK_COMPONENT_SECRET" if answer.status in (401, 403) else "MASK_ASSET_URL"
            raise _SetUpWrongly(
                "callback_unavailable",
                f"{reason}; is {wrong} right?",
                stage="callback",
                quoted=shown,
            )
        if answer.fault is not None or not 200 <= answer.status < 300:
            raise _rejected(reason)
        try:
            return CallbackReply.read_lenient(answer.body, files=upload.files).stored_keys
        except InvalidMessage as error:
            raise _rejected(f"{reason} ({self._secrets.hide(str(error))})") from None

    def _shown(self, answer: Answer) -> str:
        """Show the beginning of the answer in one line; an echo of our secret is not shown."""
        if answer.fault is not None:
            return f", and of its answer {answer.fault}"
        text = " ".join(answer.body.decode(errors="replace").split())
        return f": {self._secrets.hide_and_cut(text, _SHOWN_BODY)}" if text else ""


def _sendable(settings: CallbackSettings) -> str:
    """Give the secret; raise `StartError` where no header can carry it."""
    secret = settings.mask_component_secret.get_secret_value()
    if secret != secret.strip() or not secret.isprintable():
        raise StartError(
            "MASK_COMPONENT_SECRET has characters that no HTTP header can carry", exit_code=2
        )
    return secret


async def _digest(body: bytes) -> str:
    """Return the SHA-256 in hex, made in a thread: a body may have 30 MB."""
    return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()


def _unavailable(
    message: str, *, retry_after: float | None = None, quoted: str = ""
) -> Unavailable:
    return Unavailable(
        "callback_unavailable", message, stage="callback", retry_after=retry_after, quoted=quoted
    )


def _rejected(message: str) -> JobFailed:
    return JobFailed("callback_rejected", message, stage="callback")
