"""The steps of a trace: whose they are, what they say, and that a sampler is asked once for all."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from consumer.settings import KafkaSettings, load
from consumer.telemetry.opentelemetry import OpenTelemetry

TRACE, SPAN = "ab" * 16, "cd" * 8
PARENT = f"00-{TRACE}-{SPAN}-01"


def traced(*, parent: str | None = PARENT) -> tuple[list[ReadableSpan], list[str]]:
    """Trace a job; give its spans, in the order of their ends, and the context of its post."""
    spans, contexts = InMemorySpanExporter(), []
    tracing = OpenTelemetry(spans, load(KafkaSettings))
    trace = tracing.attempt("mask.jobs", parent=parent, messaging__kafka__offset=7)
    with trace.current():
        with trace.step("segmentation", mask__model="m"):
            trace.stages({"decode": 1.0, "segment": 2.0})
        with trace.step("callback"), trace.step("POST", kind="client") as post:
            contexts.append(str(post.traceparent))
            post.note(http__response__status_code=503)
            post.fail("503")
    with pytest.raises(ZeroDivisionError), trace.step("fetch"):
        raise ZeroDivisionError
    trace.settle(seconds=0.5, jobs=3)
    tracing.close()
    return list(spans.get_finished_spans()), contexts


def test_each_step_belongs_to_the_one_around_it() -> None:
    """The first span to the producer's; a step outside of `current` to the first."""
    spans, _ = traced()
    ids = {f"{one.context.span_id:016x}": one.name for one in spans if one.context}
    parents = {one.name: f"{one.parent.span_id:016x}" for one in spans if one.parent}
    assert {name: ids.get(parent, parent) for name, parent in parents.items()} == {
        "process mask.jobs": SPAN,
        "segmentation": "process mask.jobs",
        "decode": "segmentation",
        "segment": "segmentation",
        "callback": "process mask.jobs",
        "POST": "callback",
        "fetch": "process mask.jobs",
        "send mask.status": "process mask.jobs",
    }
    assert {f"{one.context.trace_id:032x}" for one in spans if one.context} == {TRACE}


def test_a_step_says_what_it_was() -> None:
    """Its kind, attributes, times, and how it failed."""
    spans, (context,) = traced()
    by_name = {one.name: one for one in spans}
    post, fetch, sent = by_name["POST"], by_name["fetch"], by_name["send mask.status"]
    assert post.context is not None
    assert context == f"00-{TRACE}-{post.context.span_id:016x}-01"
    assert (post.kind, post.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)
    assert post.attributes == {"http.response.status_code": 503, "error.type": "503"}
    assert fetch.attributes == {"error.type": "ZeroDivisionError"}
    assert by_name["segmentation"].attributes == {"mask.model": "m"}
    assert (sent.attributes or {})["messaging.batch.message_count"] == 3
    assert (sent.end_time or 0) - (sent.start_time or 0) == 500_000_000
    segment, decode = by_name["segment"], by_name["decode"]
    assert (segment.end_time or 0) - (segment.start_time or 0) == 2_000_000
    assert segment.start_time == decode.end_time
    assert (by_name["process mask.jobs"].attributes or {})["messaging.kafka.offset"] == 7
    assert {one.resource for one in spans} == {spans[0].resource}


@pytest.mark.parametrize(
    ("sampler", "parent"), [("always_off", PARENT), ("parentbased_always_on", PARENT[:-1] + "0")]
)
def test_what_is_not_sampled_has_a_context_and_is_not_sent(
    sampler: str, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    spans, (context,) = traced(parent=parent)
    assert spans == []
    assert context.startswith(f"00-{TRACE}-")
    assert context.endswith("-00")
