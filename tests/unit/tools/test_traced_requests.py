"""What the gateway's guard says of a POST in its trace and in the log, without a stack."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id
from starlette.requests import Request

from consumer.settings import KafkaSettings, load
from consumer.telemetry.opentelemetry import OpenTelemetry
from producer_tools.gateway.access import Access
from producer_tools.gateway.guard import Guard
from producer_tools.gateway.metrics import Metrics

TRACE, SPAN = "ab" * 16, "cd" * 8
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """What was sent."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Iterator[OpenTelemetry]:
    """Traces that go there."""
    tracing = OpenTelemetry(spans, load(KafkaSettings))
    yield tracing
    tracing.close()


def client_of(tracing: OpenTelemetry, *, keys: tuple[str, ...] = ()) -> httpx.AsyncClient:
    app = FastAPI()

    async def echo(request: Request) -> dict[str, Any]:
        return {"traceparent": request.headers.get("traceparent")}

    async def break_down() -> None:
        raise ZeroDivisionError

    app.add_api_route("/echo/{name}", echo, methods=["GET", "POST"])
    app.add_api_route("/broken", break_down, methods=["POST"])
    guard = Guard(app, access=Access(keys, ()), metrics=Metrics(), tracing=tracing, limit=1000)
    return httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://gateway")


def ended(tracing: OpenTelemetry, spans: InMemorySpanExporter) -> list[ReadableSpan]:
    tracing.close()
    return list(spans.get_finished_spans())


async def test_a_post_is_a_span_of_its_callers_trace(
    tracing: OpenTelemetry, spans: InMemorySpanExporter
) -> None:
    """What it calls sees that span as its parent; a GET is no span."""
    async with client_of(tracing) as client:
        inside = (await client.post("/echo/a", headers=PARENT)).json()["traceparent"]
        assert (await client.get("/echo/a", headers=PARENT)).json() == PARENT
    (span,) = ended(tracing, spans)
    assert span.name == "POST /echo/{name}"
    assert span.parent is not None
    assert (format_trace_id(span.parent.trace_id), format_span_id(span.parent.span_id)) == (
        TRACE,
        SPAN,
    )
    assert span.context is not None
    assert inside == f"00-{TRACE}-{format_span_id(span.context.span_id)}-01"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/echo/{name}",
        "http.response.status_code": 200,
        "url.path": "/echo/a",
        "url.scheme": "http",
    }


async def test_log_lines_of_a_post_carry_its_ids(
    tracing: OpenTelemetry, spans: InMemorySpanExporter
) -> None:
    """Also where it breaks down, which its span says, too."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        async with client_of(tracing) as client:
            assert (await client.post("/broken", headers=PARENT)).status_code == 500
    (span,) = ended(tracing, spans)
    (line,) = lines
    assert span.context is not None
    assert (line["event"], line["trace_id"]) == ("request.failed", TRACE)
    assert line["span_id"] == format_span_id(span.context.span_id)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ZeroDivisionError"


async def test_a_caller_without_a_key_makes_no_span(
    tracing: OpenTelemetry, spans: InMemorySpanExporter
) -> None:
    async with client_of(tracing, keys=("k",)) as client:
        assert (await client.post("/echo/a", headers=PARENT)).status_code == 401
    assert ended(tracing, spans) == []
