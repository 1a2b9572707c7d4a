"""Starts the gateway as a process that uses the local stack."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from consumer.settings import CallbackSettings, GatewaySettings, ViewSettings
from producer_tools.local import ports
from producer_tools.local.consumer_process import STACK_SETTINGS
from producer_tools.local.mask_asset.process import BUCKET
from producer_tools.local.server import LocalServer

_OWN_SETTINGS = STACK_SETTINGS | {
    name.upper() for group in (GatewaySettings, ViewSettings) for name in group.model_fields
}
_NO_SETTINGS = frozenset(name.upper() for name in CallbackSettings.model_fields)


class GatewayProcess(LocalServer):
    """`maskline gateway` with a local stack. It is ready when `/readyz` is.

    Args:
        settings: The stack's settings, and others of the gateway, as environment variables.
        port: None chooses a free port.
        folder: The folder for its log, its view and its uploads. It is kept. None: a temporary one.
    """

    name = "Gateway"

    def __init__(
        self, settings: Mapping[str, str], *, port: int | None = None, folder: Path | None = None
    ) -> None:
        super().__init__(port=port, folder=folder)
        self._settings = {
            name: value for name, value in settings.items() if name not in _NO_SETTINGS
        }
        # Without a proxy from the environment, because a proxy can't reach our loopback interface.
        self._http = build_opener(ProxyHandler({}))

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the gateway's command."""
        del first
        return (sys.executable, "-m", "producer_tools", "gateway")

    def environment(self) -> dict[str, str]:
        """Return our environment, with its settings of another line replaced by the stack's."""
        kept = {
            name: value for name, value in os.environ.items() if name.upper() not in _OWN_SETTINGS
        }
        own = {
            "HOST": ports.HOST,
            "PORT": str(self.port),
            "LOG_FORMAT": "console",
            "RESULT_BUCKETS": BUCKET,
            "TEMP_FOLDER": str(self.folder),
            "VIEW_FILE": str(self.folder / "view" / "view.db"),
        }
        return {**kept, **own, **self._settings}

    def wait_ready(self) -> None:
        """Wait until `/readyz` responds with 200."""
        self.child.wait_until(self._is_ready, seconds=self.start_seconds)

    def _is_ready(self) -> bool:
        try:
            with self._http.open(f"{self.url}/readyz", timeout=2):
                return True
        except OSError:  # includes HTTPError, as for the status 503
            return False
