"""The real toxiproxy between the consumers and what they talk to: networks that fail on demand."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from rich.console import Console

from producer_tools.local import ports
from producer_tools.local.server import LocalServer
from tests.laboratory.go_programs import GoProgram

PROGRAM = GoProgram("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "v2.12.0")
_ANSWER_SECONDS = 30.0

Stream = Literal["upstream", "downstream"]


@dataclass(frozen=True, slots=True)
class Toxic:
    """What toxiproxy does to the bytes that go upstream, to the server, or come downstream."""

    kind: str
    stream: Stream
    attributes: Mapping[str, int]
    share: float = 1.0
    """Of the connections, drawn for each, open or new."""


class Proxy:
    """One port of toxiproxy and the server behind it; whole again after each block."""

    def __init__(self, api: str, name: str) -> None:
        self._at = f"{api}/proxies/{name}"

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Close every connection and refuse new ones, in the block."""
        self._enable(False)
        try:
            yield
        finally:
            self._enable(True)

    @contextmanager
    def poisoned(self, *toxics: Toxic) -> Iterator[None]:
        """Do this to every connection, open or new, in the block."""
        with ExitStack() as added:
            for toxic in toxics:
                added.enter_context(self._with(toxic))
            yield

    def _enable(self, enabled: bool) -> None:
        httpx.post(self._at, json={"enabled": enabled}, timeout=_ANSWER_SECONDS).raise_for_status()

    @contextmanager
    def _with(self, toxic: Toxic) -> Iterator[None]:
        name = f"{toxic.kind}-{toxic.stream}"
        description = {
            "name": name,
            "type": toxic.kind,
            "stream": toxic.stream,
            "attributes": dict(toxic.attributes),
            "toxicity": toxic.share,
        }
        toxics = f"{self._at}/toxics"
        httpx.post(toxics, json=description, timeout=_ANSWER_SECONDS).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{toxics}/{name}", timeout=_ANSWER_SECONDS).raise_for_status()


class Toxiproxy(LocalServer):
    """The toxiproxy server; its proxies are made by `proxy`."""

    name = "toxiproxy"

    def __init__(self, *, folder: Path | None = None, console: Console) -> None:
        super().__init__(folder=folder)
        self._console = console
        self._program = Path()

    def launch(self) -> None:
        """Build it if this machine hasn't it yet, and start it without waiting for it."""
        self._program = PROGRAM.fetch(self._console)
        super().launch()

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the server's command."""
        del first  # it keeps nothing in its folder
        return (str(self._program), "-host", ports.HOST, "-port", str(self.port))

    def proxy(self, name: str, *, port: int, to: int) -> Proxy:
        """Pass connections to `port` on to the port `to`."""
        api = f"http://{ports.HOST}:{self.port}"
        made = {
            "name": name,
            "listen": f"{ports.HOST}:{port}",
            "upstream": f"{ports.HOST}:{to}",
            "enabled": True,
        }
        httpx.post(f"{api}/proxies", json=made, timeout=_ANSWER_SECONDS).raise_for_status()
        return Proxy(api, name)
