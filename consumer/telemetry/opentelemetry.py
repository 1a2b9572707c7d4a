"""Traces by OpenTelemetry, with its semantic conventions for messaging and HTTP, sent by OTLP/HTTP.

Spans wait in a queue for a thread of OpenTelemetry's own; a collector that is away costs the spans
that don't fit there. Nothing that a job could hold in it is sent: no user, no key, no message.
"""

import os
import threading
from collections.abc import Mapping
from importlib.metadata import version

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind

from consumer.settings import KafkaSettings
from consumer.telemetry.otel_spans import OpenTrace, Spans, context_of, dotted, messaging
from consumer.telemetry.tracing import Trace, Tracing, Value

CLOSE_SECONDS = 2.0
SERVICE = "maskline"
_LONGEST_PATH = 200


class OpenTelemetry(Tracing):
    """Makes traces and sends them."""

    def __init__(
        self, exporter: SpanExporter, kafka: KafkaSettings, *, replays: bool = False
    ) -> None:
        """OpenTelemetry's own variables say the sampler, the resource and the queue."""
        self._kafka = kafka
        self._replays = replays
        own = {"service.name": SERVICE, "service.version": version("maskline")}
        # The variables come after ours, and replace them.
        self._provider = TracerProvider(
            resource=Resource.create({k: v for k, v in own.items() if not _named(k)}),
            shutdown_on_exit=False,
        )
        waiting = BatchSpanProcessor(exporter)
        self._provider.add_span_processor(waiting)
        self._tracer = self._provider.get_tracer("maskline", version("maskline"))
        self._spans = Spans(self._provider, waiting.on_end)

    @classmethod
    def of_environment(cls, kafka: KafkaSettings, *, replays: bool) -> "OpenTelemetry":
        """Send to `OTEL_EXPORTER_OTLP_ENDPOINT`, by no proxy."""
        session = requests.Session()
        session.trust_env = False
        return cls(OTLPSpanExporter(session=session), kafka, replays=replays)

    def attempt(self, topic: str, *, parent: str | None, **facts: Value) -> Trace:
        """Begin the trace of an attempt at a job of the topic."""
        attributes = {
            **messaging("process", topic),
            "messaging.consumer.group.name": self._kafka.consumer_group,
            **dotted(facts),
        }
        trace = self._begin(f"process {topic}", parent, SpanKind.CONSUMER, attributes)
        if self._replays:
            trace.repeats("replay")
        return trace

    def submission(self, topic: str, *, parent: str | None) -> Trace:
        """Begin the trace of a job that is submitted."""
        return self._begin(f"send {topic}", parent, SpanKind.PRODUCER, messaging("send", topic))

    def request(self, method: str, path: str, *, parent: str | None) -> Trace:
        """Begin the trace of an HTTP request that is served."""
        attributes: dict[str, Value] = {
            "http.request.method": method,
            "url.path": path[:_LONGEST_PATH],
            "url.scheme": "http",
        }
        return self._begin(method, parent, SpanKind.SERVER, attributes)

    def close(self) -> None:
        """Send what is left, within a moment: a collector that hangs must not hold us up."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def _begin(
        self, name: str, parent: str | None, kind: SpanKind, attributes: Mapping[str, Value]
    ) -> Trace:
        span = self._tracer.start_span(name, context_of(parent), kind=kind, attributes=attributes)
        return OpenTrace(span, self._spans, original=parent, send=self._kafka.status_topic)


def _named(attribute: str) -> bool:
    """Whether OpenTelemetry's variables say it."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return attribute in given or (attribute == "service.name" and "OTEL_SERVICE_NAME" in os.environ)
