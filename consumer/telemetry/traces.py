"""Whether there are traces: the place where OpenTelemetry is imported, if it is wanted."""

import os

from consumer.errors import StartError
from consumer.settings import KafkaSettings, TracingSettings
from consumer.telemetry.tracing import NO_TRACING, Tracing

PROTOCOL = "http/protobuf"
EXTRA = "maskline[tracing]"


def open_tracing(
    settings: TracingSettings, kafka: KafkaSettings, *, replays: bool = False
) -> Tracing:
    """Give what makes traces: nothing while `OTEL_EXPORTER_OTLP_ENDPOINT` is unset.

    `replays`: whether all jobs are done again, as by a replay run.

    Raises:
        StartError: it is set, and the package lacks its extra, or another protocol is wanted.
    """
    if settings.otel_exporter_otlp_endpoint is None:
        return NO_TRACING
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL) != PROTOCOL:
        raise StartError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent by {PROTOCOL} alone", exit_code=2
        )
    try:
        from consumer.telemetry.opentelemetry import OpenTelemetry
    except ModuleNotFoundError as error:
        raise StartError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {error.name} isn't installed:"
            f" pip install '{EXTRA}', or unset it",
            exit_code=2,
        ) from None
    return OpenTelemetry.of_environment(kafka, replays=replays)
