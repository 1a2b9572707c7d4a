"""A job is one trace, from whoever submits it to its terminal event."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from consumer.errors import StartError
from consumer.settings import KafkaSettings, TracingSettings, load
from consumer.telemetry import traces
from consumer.telemetry.opentelemetry import OpenTelemetry
from tests.support.bench import Bench
from tests.support.collector import Collector, Span
from tests.support.topics import read_topic

pytestmark = pytest.mark.integration

CLIENT, PRODUCER, CONSUMER = 3, 4, 5
"""OTLP's numbers of kinds."""
TIMES = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as collector:
        yield collector


async def test_a_job_is_one_trace_from_its_submission_to_its_terminal_event(
    bench: Bench, collector: Collector
) -> None:
    """The parts hang together; retries, a failure and the log lines are in it."""
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **TIMES}
    bench.environment.update(where)
    photo = bench.put_photo()
    bench.stack.mask_assets.misbehave(mode="status", status=503, times=1)
    consumer = bench.start()
    submitted = bench.maskline("submit", photo, "--wait")
    assert submitted.returncode == 0, submitted.stderr
    await bench.send(bench.line.jobs, "broken", b"{")

    (sent,) = collector.wait_for(f"send {bench.line.jobs}")
    processed, failed = collector.wait_for(f"process {bench.line.jobs}", 2)
    collector.wait_for(f"send {bench.line.status}", 2)
    await consumer.end()
    trace = {span.span_id: span for span in collector.spans if span.trace_id == sent.trace_id}
    assert (sent.parent_id, sent.kind, processed.kind) == ("", PRODUCER, CONSUMER)
    assert {one.name: named(trace, one.parent_id) for one in trace.values()} == {
        sent.name: None,
        processed.name: sent.name,
        "fetch": processed.name,
        "segmentation": processed.name,
        "preprocess": "segmentation",
        "segment": "segmentation",
        "masks": "segmentation",
        "callback": processed.name,
        "POST": "callback",
        f"send {bench.line.status}": processed.name,
    }
    first, second = collector.wait_for("POST", 2)
    assert (first.error, first.attributes["error.type"], first.kind) == (True, "503", CLIENT)
    assert (second.error, second.attributes["http.response.status_code"]) == (False, 200)
    assert processed.events == ("retrying",)
    about = {name: processed.attributes[name] for name in ABOUT}
    assert about == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": bench.line.jobs,
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.consumer.group.name": bench.line.group,
        "mask.state": "completed",
    }
    assert (failed.error, failed.attributes["error.type"]) == (True, "invalid_message")
    assert failed.trace_id != sent.trace_id
    assert {span.service for span in collector.spans} == {"maskline"}

    (retried,) = consumer.entries("job.retried")
    assert (retried["trace_id"], retried["span_id"]) == (processed.trace_id, processed.span_id)
    events = await read_topic(bench.bootstrap, bench.line.status)
    carried = {dict(event.headers).get("traceparent") or b"" for event in events[:3]}
    assert {each.decode()[:-3] for each in carried} == {f"00-{sent.trace_id}-{sent.span_id}"}
    posted = bench.stack.mask_assets.uploads()[-1]["traceparent"]
    assert posted[:-3] == f"00-{second.trace_id}-{second.span_id}"


ABOUT = (
    "messaging.system",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.consumer.group.name",
    "mask.state",
)


def named(trace: dict[str, Span], span_id: str) -> str | None:
    """Give a span's name; None where the trace has none of that id."""
    return trace[span_id].name if span_id in trace else None


async def test_a_collector_that_hangs_costs_nothing_but_spans(bench: Bench) -> None:
    """Jobs go on, and the end isn't held up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        consumer = bench.start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", **TIMES)
        photo = bench.put_photo()
        for number in range(5):
            await bench.submit(f"job-{number}", photo)
        events = await bench.terminal_events(5)
        assert {event["state"] for event in events} == {"completed"}
        begin = time.monotonic()
        await consumer.end()
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize("how", ["redrive", "replay"])
def test_a_repeated_job_links_to_the_original(how: str) -> None:
    """By a redrive, or in a replay run, where all are repeated."""
    spans = InMemorySpanExporter()
    made = OpenTelemetry(spans, load(KafkaSettings), replays=how == "replay")
    original = f"00-{'ab' * 16}-{'cd' * 8}-01"
    attempt = made.attempt("mask.jobs", parent=original)
    if how == "redrive":
        attempt.repeats(how)
    attempt.settle(seconds=0.1, jobs=1)
    made.close()
    (link,) = spans.get_finished_spans()[-1].links
    assert f"{link.context.trace_id:032x}" == "ab" * 16
    assert dict(link.attributes or {}) == {"mask.repeats": how}


def test_without_the_extra_the_consumer_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2; while traces are off, nothing of OpenTelemetry is even imported."""
    loaded = "import sys, consumer.app; print([m for m in sys.modules if 'opentelemetry' in m])"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    monkeypatch.delitem(sys.modules, "consumer.telemetry.opentelemetry", raising=False)
    with pytest.raises(StartError, match=r"pip install 'maskline\[tracing\]'") as raised:
        traces.open_tracing(load(TracingSettings), load(KafkaSettings))
    assert raised.value.exit_code == 2
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(StartError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        traces.open_tracing(load(TracingSettings), load(KafkaSettings))
