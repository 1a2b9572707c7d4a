"""Where traces go."""

from consumer.settings.addresses import Endpoint
from consumer.settings.group import SettingsGroup


class TracingSettings(SettingsGroup):
    """OpenTelemetry's own variables that decide whether there are traces; it reads the rest."""

    otel_exporter_otlp_endpoint: Endpoint | None = None
