"""The names of all samples that a line can be scraped for."""

from prometheus_client.parser import text_string_to_metric_families

from consumer.telemetry.metrics import Metrics as ConsumerMetrics
from producer_tools.gateway.metrics import Metrics as GatewayMetrics

_PARTS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def sample_names() -> set[str]:
    """Give them, of consumers and gateways."""
    families = [
        *ConsumerMetrics().registry.collect(),
        *text_string_to_metric_families(GatewayMetrics().text().decode()),
    ]
    return {family.name + part for family in families for part in _PARTS[family.type]}
