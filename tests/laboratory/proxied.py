"""The local stack with a network that can fail: toxiproxy before each part, versitygw as its S3."""

from pathlib import Path

from rich.console import Console

from producer_tools.local import ports
from producer_tools.local.kafka.broker import Kafka
from producer_tools.local.stack import LocalStack
from tests.laboratory.toxiproxy import Proxy, Toxiproxy
from tests.laboratory.versitygw import VersityGw


class ProxiedStack(LocalStack):
    """The local stack, whose `environment` leads through toxiproxy; its parts lead past it."""

    def __init__(self, *, folder: Path) -> None:
        console = Console(stderr=True)
        super().__init__(masks_in_memory=True, folder=folder, console=console)
        self._ports = {name: ports.choose(name, setting="") for name in ("kafka", "s3", "callback")}
        self.kafka = Kafka(
            console=console, folder=folder / "kafka", proxy_port=self._ports["kafka"]
        )
        self.s3 = VersityGw(console=console, folder=folder / "s3")
        self.toxiproxy = Toxiproxy(console=console, folder=folder / "toxiproxy")
        self.proxies: dict[str, Proxy] = {}
        """The proxies before `kafka`, `s3` and `callback`."""

    def environment(self) -> dict[str, str]:
        """The consumer's settings for this stack, by way of the proxies."""
        kafka, s3, callback = (f"{ports.HOST}:{port}" for port in self._ports.values())
        return {
            **super().environment(),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "S3_ENDPOINT_URL": f"http://{s3}",
            "MASK_ASSET_URL": f"http://{callback}/v1/mask/upload",
        }

    def _start(self) -> None:
        self._started.callback(self.toxiproxy.stop)
        self.toxiproxy.launch()
        super()._start()
        self.toxiproxy.wait_ready()
        behind = (self.kafka.proxied_port, self.s3.port, self.mask_assets.port)
        for (name, port), to in zip(self._ports.items(), behind, strict=True):
            self.proxies[name] = self.toxiproxy.proxy(name, port=port, to=to)
