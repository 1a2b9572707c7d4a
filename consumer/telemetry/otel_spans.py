"""Spans by OpenTelemetry: the first one of a trace, and the steps below it.

The first is the SDK's own, which asks the sampler. The steps inherit its answer, and are put
together when they end: a span of the SDK costs three times as much.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    format_span_id,
    format_trace_id,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from consumer.telemetry.tracing import Span, Step, Trace, Value
from schemas.trace_context import HEADER

_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_PROPAGATOR = TraceContextTextMapPropagator()
_UNSET, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_current: ContextVar[SpanContext | None] = ContextVar("span", default=None)
"""The span to which the next step belongs."""


class Spans:
    """Makes the spans below the first one of a trace."""

    def __init__(self, provider: TracerProvider, ended: Callable[[ReadableSpan], None]) -> None:
        self._ended = ended
        self._new_id = provider.id_generator.generate_span_id
        scope = InstrumentationScope("maskline", version("maskline"))
        self._span = partial(ReadableSpan, resource=provider.resource, instrumentation_scope=scope)

    def below(self, parent: SpanContext) -> SpanContext:
        """Give a new span's place in the trace."""
        return SpanContext(
            parent.trace_id, self._new_id(), False, parent.trace_flags, parent.trace_state
        )

    def end(
        self,
        name: str,
        place: SpanContext,
        parent: SpanContext,
        times: tuple[int, int],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Value] | None = None,
        status: Status = _UNSET,
    ) -> None:
        """Take what has ended; `times` are its begin and end in nanoseconds since 1970."""
        if place.trace_flags.sampled:
            self._ended(
                self._span(
                    name,
                    place,
                    parent,
                    attributes=attributes,
                    kind=kind,
                    status=status,
                    start_time=times[0],
                    end_time=times[1],
                )
            )


class _Step(Span):
    """A step under way, as a context manager; an exception fails it."""

    def __init__(
        self,
        spans: Spans,
        parent: SpanContext,
        *,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Value],
    ) -> None:
        self._spans, self._parent = spans, parent
        self._name, self._kind, self._attributes = name, kind, attributes
        self._place = spans.below(parent)
        self._status = _UNSET

    def __enter__(self) -> Span:
        self._token = _current.set(self._place)
        self._began = time.time_ns()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        _current.reset(self._token)
        if error is not None:
            self.fail(str(getattr(error, "code", "") or type(error).__name__))
        self._spans.end(
            self._name,
            self._place,
            self._parent,
            (self._began, time.time_ns()),
            kind=self._kind,
            attributes=self._attributes,
            status=self._status,
        )

    @property
    def traceparent(self) -> str | None:  # type: ignore[override]
        """The context as a header has it."""
        return _header(self._place)

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name is a dot."""
        self._attributes.update(dotted(attributes))

    def fail(self, error_type: str) -> None:
        """Say how the step failed."""
        self._attributes["error.type"] = error_type
        self._status = _FAILED


class OpenTrace(Trace):
    """An open span, and those below it."""

    def __init__(self, span: OtelSpan, spans: Spans, *, original: str | None, send: str) -> None:
        """`original`: the producer's traceparent. `send`: the topic of terminal events."""
        self._span, self._spans = span, spans
        self._original, self._send = original, send
        self._place = span.get_span_context()
        self.ids = {
            "trace_id": format_trace_id(self._place.trace_id),
            "span_id": format_span_id(self._place.span_id),
        }

    @property
    def traceparent(self) -> str | None:  # type: ignore[override]
        """The context as a header has it."""
        return _header(self._place)

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name is a dot."""
        self._span.set_attributes(dotted(attributes))

    def rename(self, name: str) -> None:
        """Give it another name."""
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        """Say how it failed."""
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let steps in the block belong to it."""
        token = _current.set(self._place)
        try:
            yield
        finally:
            _current.reset(token)

    def step(self, name: str, *, kind: str = "internal", **attributes: Value) -> Step:
        """Time the block as a step; an exception fails it."""
        return _Step(
            self._spans,
            _current.get() or self._place,
            name=name,
            kind=_KINDS[kind],
            attributes=dotted(attributes),
        )

    def stages(self, milliseconds: Mapping[str, float]) -> None:
        """Show stages that have just ended, one after the other."""
        parent = _current.get() or self._place
        begin = time.time_ns() - int(sum(milliseconds.values()) * 1e6)
        for name, duration in milliseconds.items():
            end = begin + int(duration * 1e6)
            self._spans.end(name, self._spans.below(parent), parent, (begin, end))
            begin = end

    def tell(self, event: str, **attributes: Value) -> None:
        """Show that something happened at this moment."""
        self._span.add_event(event, dotted(attributes))

    def settle(self, *, seconds: float, jobs: int) -> None:
        """End it with its terminal event."""
        now = time.time_ns()
        self._spans.end(
            f"send {self._send}",
            self._spans.below(self._place),
            self._place,
            (now - int(seconds * 1e9), now),
            kind=SpanKind.PRODUCER,
            attributes={**messaging("send", self._send), "messaging.batch.message_count": jobs},
        )
        self._span.end(now)

    def repeats(self, how: str) -> None:
        """Link it to the original."""
        original = get_current_span(context_of(self._original)).get_span_context()
        if original.is_valid:
            self._span.add_link(original, {"mask.repeats": how})

    def end(self) -> None:
        """End it now."""
        self._span.end()

    def abandon(self) -> None:
        """End it without a terminal event."""
        self.tell("abandoned")
        self._span.end()


def context_of(traceparent: str | None) -> Context:
    """Give the context of a header; an empty one where there is none."""
    return _PROPAGATOR.extract({HEADER: traceparent} if traceparent else {}, Context())


def _header(place: SpanContext) -> str:
    """Write a span's place as a header has it."""
    trace_id, span_id = format_trace_id(place.trace_id), format_span_id(place.span_id)
    return f"00-{trace_id}-{span_id}-{place.trace_flags:02x}"


@cache
def messaging(operation: str, topic: str) -> Mapping[str, Value]:
    """Give what a span of this operation on a topic of Kafka has."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }


def dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Write names as OpenTelemetry has them: `__` is a dot."""
    return {_dot(name): value for name, value in attributes.items()}


@cache
def _dot(name: str) -> str:
    return name.replace("__", ".")
