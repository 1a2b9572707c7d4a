"""The gateway's metrics, in a registry of their own."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What the gateway does."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "mask_gateway_requests", "Requests answered.", ["call", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "mask_gateway_request_seconds",
            "From a request's head to the begin of its answer.",
            ["call"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.view_age = Gauge(
            "mask_gateway_view_age_seconds",
            "How long ago the view had all that there was.",
            registry=registry,
        )
        self.streams = Gauge("mask_gateway_streams", "Event streams.", registry=registry)
        self.connections = Gauge("mask_gateway_connections", "Connections.", registry=registry)
        ProcessCollector(namespace="mask", registry=registry)

    def follow(
        self,
        *,
        view_age: Callable[[], float],
        streams: Callable[[], float],
        connections: Callable[[], float],
    ) -> None:
        """Show these as they are at the moment of each scrape."""
        self.view_age.set_function(view_age)
        self.streams.set_function(streams)
        self.connections.set_function(connections)

    def text(self) -> bytes:
        """Write all of them in Prometheus' format."""
        return generate_latest(self._registry)
