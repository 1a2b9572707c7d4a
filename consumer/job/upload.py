"""An upload: one job's masks, ready to be sent as often as it takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from consumer.job.budgets import Budget
from consumer.job.post import Answer, Poster
from consumer.telemetry.tracing import Trace
from http_client.origin import origin
from schemas.trace_context import HEADER


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One job's masks, ready to be sent as often as it takes."""

    request: httpx.Request
    files: Mapping[str, bytes]
    to_mask_asset_url: bool
    """Whether it goes to `MASK_ASSET_URL`, which the whole line depends on."""
    budget: Budget
    body_digest: str | None
    """SHA-256 of the body in hex, for its signature; None where it goes unsigned."""
    trace: Trace

    @property
    def receiver(self) -> str:
        """The receiver's name for people: where the URL leads, without path and query."""
        scheme, host, port = origin(str(self.request.url))
        name = "MASK_ASSET_URL" if self.to_mask_asset_url else "callback_url"
        return f"{name} ({scheme}://{host}:{port})"

    async def send(self, poster: Poster, *, seconds: float) -> Answer:
        """Post once, as a step of the job's trace, which the receiver's own spans belong to.

        Raises:
            TimeoutError, ConnectionError: there was no answer.
        """
        scheme, host, port = origin(str(self.request.url))
        with self.trace.step(
            "POST",
            kind="client",
            http__request__method="POST",
            server__address=host,
            server__port=port,
            url__full=f"{scheme}://{host}:{port}{self.request.url.path}",  # a query may be secret
        ) as span:
            if span.traceparent is not None:
                self.request.headers[HEADER] = span.traceparent
            answer = await poster.post(self.request, seconds=seconds)
            span.note(http__response__status_code=answer.status)
            if answer.status >= 400:
                span.fail(str(answer.status))
            return answer
