"""A collector of traces: takes OTLP over HTTP, as every collector does, and keeps the spans."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    service: str
    error: bool
    attributes: dict[str, Any]
    events: tuple[str, ...]
    links: tuple[str, ...]
    """Ids of the traces that it names."""


class Collector:
    """Listens while it is open; `spans` are those that have come."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._came = threading.Condition()

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` names."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, name: str, count: int = 1) -> list[Span]:
        """Wait until so many spans of this name have come; give them."""

        def found() -> list[Span]:
            return [span for span in self.spans if span.name == name]

        with self._came:
            seen = self._came.wait_for(lambda: len(found()) >= count, timeout=60)
        assert seen, f"{len(found())} of {count} spans {name}: {[one.name for one in self.spans]}"
        return found()

    def _take(self, request: ExportTraceServiceRequest) -> None:
        with self._came:
            self.spans += [
                Span(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    service=_read(group.resource.attributes)["service.name"],
                    error=span.status.code == span.status.STATUS_CODE_ERROR,
                    attributes=_read(span.attributes),
                    events=tuple(event.name for event in span.events),
                    links=tuple(link.trace_id.hex() for link in span.links),
                )
                for group in request.resource_spans
                for scope in group.scope_spans
                for span in scope.spans
            ]
            self._came.notify_all()


def _read(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in attributes
    }
