"""Stands before all calls: keys and sites first, bodies that stall or are refused, CORS, counts."""

import asyncio
import time

import structlog
from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.telemetry.tracing import NO_TRACE, Trace, Tracing
from producer_tools.gateway.access import Access
from producer_tools.gateway.metrics import Metrics
from producer_tools.gateway.refusal import Refused
from schemas.trace_context import HEADER

log = structlog.get_logger()

DRAIN_SECONDS = 10.0
DRAIN_TIMES = 4
"""So many times its limit a refused body is read on."""
STALL_SECONDS = 10.0
_SLOWEST = 4096
"""Bytes a second that a body must come with, after the first seconds."""
_PREFLIGHT_SECONDS = "600"
_SERVER_ERROR = 500


class Guard:
    """The outermost layer."""

    def __init__(
        self, app: ASGIApp, *, access: Access, metrics: Metrics, tracing: Tracing, limit: int
    ) -> None:
        """`limit` is that of a body, for those that are refused."""
        self._app = app
        self._access = access
        self._metrics = metrics
        self._tracing = tracing
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, headers, receive, send, self)
        preflight = self._preflight(scope, headers)
        if preflight is not None:
            await preflight(scope, exchange.receive, exchange.send)
            return
        try:
            self._access.check(scope["method"], scope["path"], headers)
        except Refused as refused:
            await refused.response()(scope, exchange.receive, exchange.send)
            return
        if scope["method"] == "POST":
            await self._serve_traced(scope, headers.get(HEADER), exchange)
        else:
            await self._serve(scope, exchange)

    async def _serve_traced(self, scope: Scope, parent: str | None, exchange: "_Exchange") -> None:
        """Serve a request as a span of its caller's trace, or of a new one."""
        trace = self._tracing.request(scope["method"], scope["path"], parent=parent)
        exchange.trace = trace
        if trace.traceparent is not None:  # it is the parent of all that follows
            others = [pair for pair in scope["headers"] if pair[0] != HEADER.encode()]
            scope["headers"] = [*others, (HEADER.encode(), trace.traceparent.encode())]
        with structlog.contextvars.bound_contextvars(**trace.ids):
            try:
                await self._serve(scope, exchange)
            finally:
                trace.end()

    async def _serve(self, scope: Scope, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            exchange.trace.fail(type(error).__name__)
            log.error("request.failed", path=scope["path"][:200], exc_info=error)

    def note(self, scope: Scope, status: int, seconds: float, trace: Trace) -> None:
        """Count an answer, and let its trace say what it is."""
        route = scope.get("route")
        call = getattr(route, "path", "other")
        if trace is not NO_TRACE:
            trace.rename(f"{scope['method']} {call}")
            trace.note(http__route=call, http__response__status_code=status)
            if status >= _SERVER_ERROR:
                trace.fail(str(status))
        self._metrics.requests.labels(call, str(status)).inc()
        self._metrics.request_seconds.labels(call).observe(seconds)

    def allow(self, headers: Headers, answer: MutableHeaders) -> None:
        """Let a page of an allowed origin read the answer."""
        answer.add_vary_header("Origin")
        origin = headers.get("origin")
        if origin is not None and self._access.allows(origin):
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Expose-Headers"] = "Retry-After, Age"

    @property
    def most_drained(self) -> int:
        """How many bytes of a refused body are read."""
        return DRAIN_TIMES * self._limit

    def _preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a browser that asks what it may send."""
        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        if not self._access.allows(headers.get("origin")):
            return Refused(403, "CORS_ALLOWED_ORIGINS doesn't have this origin.").response()
        asked = headers.get("access-control-request-headers", "")
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": asked if asked.isascii() else "",
                "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            },
        )


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, guard: Guard
    ) -> None:
        self.trace = NO_TRACE
        self._stalled = False
        """The rest of the body doesn't come."""
        self._scope, self._headers = scope, headers
        self._receive, self._send, self._guard = receive, send, guard
        self._started_at = time.monotonic()
        self._received = 0
        length = headers.get("content-length")
        self._complete = length == "0" or (length is None and "transfer-encoding" not in headers)

    async def receive(self) -> Message:
        """Give the next piece of the body; end a body that stalls or drips."""
        if self._complete:
            return await self._receive()
        if self._stalled:
            return {"type": "http.disconnect"}
        slowest = self._started_at + STALL_SECONDS + self._received / _SLOWEST
        seconds = min(STALL_SECONDS, max(0.0, slowest - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive()
        except TimeoutError:
            self._stalled = True
            return {"type": "http.disconnect"}
        self._stalled = message["type"] == "http.disconnect"
        self._received += len(message.get("body", b""))
        self._complete = not self._stalled and not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, after what is left of the body was read."""
        if message["type"] == "http.response.start":
            self.began = True
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            self._guard.allow(self._headers, headers)
            if not self._complete:
                headers["Connection"] = "close"
                await self._drain()
            seconds = time.monotonic() - self._started_at
            self._guard.note(self._scope, message["status"], seconds, self.trace)
        await self._send(message)

    @property
    def _is_coming(self) -> bool:
        """Whether there is more of the body."""
        return not (self._complete or self._stalled)

    async def _drain(self) -> None:
        """Read the body on and throw it away, so that the caller comes to read the answer."""
        if self._headers.get("expect", "").lower() == "100-continue" and not self._received:
            return  # the caller hasn't sent it yet
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while (
                    not (self._complete or self._stalled)
                    and self._received < self._guard.most_drained
                ):
                    await self.receive()
        except TimeoutError:
            return
