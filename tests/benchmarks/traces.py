"""Processor time a photo with traces on, against the same consumer without, in one run.

Both run on the same stack, each on a line of its own, and take turns with the same photos. The
collector is in this process, whose time isn't counted. From round to round a photo's time differs
by more than its spans take; so these are measured by themselves, too.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from consumer.settings import KafkaSettings
from consumer.telemetry.opentelemetry import OpenTelemetry
from producer_tools.local.stack import LocalStack
from tests.benchmarks.cpu import Meter
from tests.benchmarks.lines import make_line, open_lane, running, seconds_until_settled, upload
from tests.benchmarks.tables import show
from tests.support.collector import Collector

_WARM_ROUNDS = 1
_ALONE = 2000
_STAGES = {"preprocess": 20.0, "segment": 200.0, "masks": 8.0}


def measure(stack: LocalStack, photos: Sequence[bytes], *, rounds: int) -> None:
    """Let both consumers settle all photos in each round, and print the ratio of the rounds."""
    spent: list[dict[str, float]] = []
    with ExitStack() as programs:
        collector = programs.enter_context(Collector())
        images = upload(stack, photos)
        lines = {name: asyncio.run(make_line(stack)) for name in ("on", "off")}
        pids = {}
        for name, settings in (
            ("on", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}),
            ("off", {}),
        ):
            consumer = programs.enter_context(running(stack, lines[name], **settings))
            asyncio.run(open_lane(consumer))
            pids[name] = consumer.pid
        for number in range(_WARM_ROUNDS + rounds):
            used = {}
            for name in ("on", "off") if number % 2 else ("off", "on"):
                meter = Meter.start({name: pids[name]})
                asyncio.run(seconds_until_settled(stack, lines[name], images))
                used[name] = meter.stop()[0][name]
            spent.append(used)
        spans = len(collector.spans)
    _print(spent[_WARM_ROUNDS:], len(photos), spans / len(photos) / len(spent))


def _print(spent: Sequence[dict[str, float]], count: int, spans: float) -> None:
    ratios = [used["on"] / used["off"] for used in spent]
    show(
        f"Processor time, milliseconds a photo: {count} photos, {len(spent)} rounds",
        ["traces on", "off", "ratio, median", "least", "most"],
        [
            [
                f"{1000 * median(used['on'] for used in spent) / count:.1f}",
                f"{1000 * median(used['off'] for used in spent) / count:.1f}",
                f"{median(ratios):.3f}",
                f"{min(ratios):.3f}",
                f"{max(ratios):.3f}",
            ]
        ],
        note=f"{spans:.1f} spans a photo; a ratio is of the two turns of one round",
    )
    alone = 1000 * seconds_of_a_photos_spans()
    off = 1000 * median(used["off"] for used in spent) / count
    show(
        "The spans of one photo by themselves, made and written as they are sent",
        ["milliseconds of processor time", "of a photo without traces"],
        [[f"{alone:.2f}", f"{alone / off:.2%}"]],
    )


def seconds_of_a_photos_spans() -> float:
    """Make and encode the spans of photos; return the processor time of those of one."""
    exporter = _Encoder()
    tracing = OpenTelemetry(exporter, KafkaSettings.model_construct())
    _trace_a_photo(tracing, 0)
    begin = time.process_time()
    for offset in range(_ALONE):
        _trace_a_photo(tracing, offset)
        if not offset % 50:  # the queue would be full
            tracing._provider.force_flush()
    tracing.close()
    return (time.process_time() - begin) / _ALONE


class _Encoder(SpanExporter):
    """Does what OTLP's exporter does, but for the sending."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def _trace_a_photo(tracing: OpenTelemetry, offset: int) -> None:
    """Make the spans of a job, as `consumer/job` and the settler do."""
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    trace = tracing.attempt(
        "mask.jobs",
        parent=parent,
        messaging__destination__partition__id="0",
        messaging__kafka__offset=offset,
    )
    with trace.current():
        trace.note(mask__job_id=f"job-{offset}")
        with trace.step("fetch", kind="client", rpc__system="aws-api", rpc__method="GetObject"):
            pass
        with trace.step("segmentation", mask__model="body-regions"):
            pass
        trace.stages(_STAGES)
        with (
            trace.step("callback"),
            trace.step("POST", kind="client", http__request__method="POST") as post,
        ):
            assert post.traceparent is not None
            post.note(http__response__status_code=200)
    trace.note(mask__state="completed")
    trace.settle(seconds=0.02, jobs=4)
