"""The local stack with three brokers: processes of the same Kafka, each its own controller, too."""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from producer_tools.local import ports
from producer_tools.local.kafka.broker import Kafka
from producer_tools.local.stack import LocalStack
from tests.laboratory.versitygw import VersityGw
from tests.support.consumer_process import until
from tests.support.topics import administration

BROKERS = 3
_REPLICATED = """
node.id={number}
controller.quorum.voters={voters}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
"""


class Broker(Kafka):
    """One of several brokers; clients are told of all of them.

    Args:
        number: Its node id, from 1.
        addresses: The port of each broker and of its controller, by node id.
        folder: For its data and log.
        console: Where the progress of a download is shown.
    """

    def __init__(
        self,
        number: int,
        addresses: Sequence[tuple[int, int]],
        *,
        folder: Path,
        console: Console,
    ) -> None:
        super().__init__(port=addresses[number - 1][0], folder=folder, console=console)
        self.number = number
        self._addresses = addresses

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(f"{ports.HOST}:{port}" for port, _ in self._addresses)

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the broker's command; a new folder is formatted for a broker of one."""
        command = super().command(first=first)
        if first:
            facts = self.folder / "logs" / "meta.properties"
            lines = [
                line
                for line in facts.read_text(encoding="utf-8").splitlines()
                if not line.startswith(("node.id=", "directory.id="))
            ]
            own = urlsafe_b64encode(secrets.token_bytes(15) + b"0").decode().rstrip("=")
            lines += [f"node.id={self.number}", f"directory.id={own}"]
            facts.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return command

    def _write_properties(self, file: Path) -> None:
        """Of a property that is named twice, Java takes the last."""
        super()._write_properties(file)
        controllers = enumerate((port for _, port in self._addresses), 1)
        port, controller = self._addresses[self.number - 1]
        text = _REPLICATED.format(
            number=self.number,
            voters=",".join(f"{number}@{ports.HOST}:{other}" for number, other in controllers),
            host=ports.HOST,
            port=port,
            controller=controller,
        )
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


class ClusterStack(LocalStack):
    """The local stack with three brokers, replication 3 and `min.insync.replicas` 2."""

    def __init__(self, *, folder: Path) -> None:
        console = Console(stderr=True)
        super().__init__(masks_in_memory=True, folder=folder, console=console)
        what = [f"Kafka {number}" for number in range(1, BROKERS + 1)]
        addresses = [(ports.choose(one, setting=""), ports.choose(one, setting="")) for one in what]
        self.brokers = [
            Broker(number, addresses, folder=folder / f"kafka-{number}", console=console)
            for number in range(1, BROKERS + 1)
        ]
        self.kafka = self.brokers[0]
        self.s3 = VersityGw(console=console, folder=folder / "s3")

    def _start(self) -> None:
        for broker in self.brokers[1:]:
            self._started.callback(broker.stop)
            broker.launch()
        super()._start()
        for broker in self.brokers[1:]:
            broker.wait_ready()
        asyncio.run(self._all_joined())

    async def _all_joined(self) -> None:
        """Wait until each broker is known to the cluster: topics get three replicas then."""
        async with administration(self.kafka.bootstrap_servers) as admin:

            async def all_are_known() -> bool:
                return len((await admin.describe_cluster())["brokers"]) == BROKERS

            await until(all_are_known, "all brokers have joined the cluster")
