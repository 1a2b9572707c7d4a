"""A POST to the gateway, its jobs and their terminal events are one trace; repeats link to it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.support.collector import Collector, Span
from tests.support.gateway_line import PHOTO, Line, new_line, until
from tests.support.line_names import maskline
from tests.support.models import TRIVIAL

pytestmark = pytest.mark.integration

SERVER, PRODUCER = 2, 4
"""OTLP's numbers of kinds."""
CALLERS_TRACE, CALLERS_SPAN = "ab" * 16, "cd" * 8
PARENT = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(stack: LocalStack, models: Path, collector: Collector) -> Iterator[Line]:
    """A gateway and a consumer that send their traces."""
    names, environment = new_line(
        stack,
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="100",
        LOG_FORMAT="json",
    )
    with ExitStack() as started:
        gateway = started.enter_context(GatewayProcess(environment))
        started.enter_context(ConsumerProcess(environment))
        yield Line(stack, names, gateway, environment)


def of_trace(collector: Collector, trace_id: str, line: Line, *, ended: int) -> list[Span]:
    """Wait until so many attempts of a trace have ended; give the trace."""

    def found() -> list[Span]:
        return [span for span in collector.spans if span.trace_id == trace_id]

    process = f"process {line.names.jobs}"
    until(lambda: sum(span.name == process for span in found()) >= ended)
    return found()


def one(spans: list[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_a_post_and_its_job_are_one_trace(traced: Line, collector: Collector) -> None:
    """From the caller's span to the terminal event; a replay of the job links to it."""
    with traced.client() as client:
        answer = client.post(
            "/api/v1/submit",
            files={"image": ("input.jpg", PHOTO)},
            data={"instruction": "x"},
            headers=PARENT,
        )
        assert answer.status_code == 200
        job = answer.json()["job_id"]
        spans = of_trace(collector, CALLERS_TRACE, traced, ended=1)
        until(lambda: any(span.name == "POST /api/v1/submit" for span in collector.spans))
        until(lambda: client.get(f"/api/v1/status/{job}").json()["status"] == "completed")
    spans = of_trace(collector, CALLERS_TRACE, traced, ended=1)
    names = traced.names
    post = one(spans, "POST /api/v1/submit")
    sent, processed = one(spans, f"send {names.jobs}"), one(spans, f"process {names.jobs}")
    assert (post.kind, post.parent_id) == (SERVER, CALLERS_SPAN)
    assert post.attributes["http.route"] == "/api/v1/submit"
    assert post.attributes["http.response.status_code"] == 200
    assert (sent.kind, sent.parent_id) == (PRODUCER, post.span_id)
    assert (sent.attributes["mask.job_id"], sent.attributes["messaging.kafka.offset"]) == (job, 0)
    assert one(spans, "upload").parent_id == sent.span_id
    assert processed.parent_id == sent.span_id
    assert one(spans, f"send {names.status}").parent_id == processed.span_id

    how = ("replay", "--job", job, "--replay-id", "again", "--execute")
    replayed = maskline(*how, environment=traced.environment)
    assert replayed.returncode == 0, replayed.stderr
    spans = of_trace(collector, CALLERS_TRACE, traced, ended=2)
    copies = [span for span in spans if span.name == processed.name and span.links]
    assert [span.links for span in copies] == [(CALLERS_TRACE,)]


def test_each_photo_of_a_batch_has_its_span(traced: Line, collector: Collector) -> None:
    """Without a caller's trace the POST begins one; a redrive links to what it repeats."""
    with traced.client() as client:
        files = [("images", ("good.jpg", PHOTO)), ("images", ("bad.jpg", b"no photo"))]
        batch = client.post("/queue/submit", files=files).json()["job_id"]
        until(lambda: client.get(f"/queue/job/{batch}").json()["completed_at"])
    (post,) = collector.wait_for("POST /queue/submit")
    spans = of_trace(collector, post.trace_id, traced, ended=2)
    sent = [span for span in spans if span.name == f"send {traced.names.jobs}"]
    assert {span.parent_id for span in sent} == {post.span_id}
    assert {span.attributes["mask.job_id"] for span in sent} == {f"{batch}:0", f"{batch}:1"}
    processed = [span for span in spans if span.name == f"process {traced.names.jobs}"]
    assert {span.parent_id for span in processed} == {span.span_id for span in sent}
    assert post.parent_id == ""
    redriven = maskline("dead-letters", "redrive", "--execute", environment=traced.environment)
    assert redriven.returncode == 0, redriven.stderr
    again = of_trace(collector, post.trace_id, traced, ended=3)
    assert [span.links for span in again if span.links] == [(post.trace_id,)]


def test_a_trace_context_that_is_none_is_not_heeded(traced: Line) -> None:
    """W3C says so: the job is queued, in a trace of its own."""
    with traced.client() as client:
        answer = client.post(
            "/api/v1/submit",
            files={"image": ("input.jpg", PHOTO)},
            data={"instruction": "x"},
            headers={"traceparent": "garbage"},
        )
    assert answer.status_code == 200, answer.text


def test_without_the_extra_the_gateway_says_what_to_install(traced: Line) -> None:
    """Exit code 2, as of the consumer."""
    code = (
        "import sys; sys.modules['opentelemetry.trace'] = None;"
        "sys.argv = ['maskline', 'gateway'];"
        "from producer_tools.__main__ import main; main()"
    )
    environment = {**traced.gateway.environment(), "PORT": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2, ran.stderr
    assert "pip install 'maskline[tracing]'" in ran.stderr
