"""Starts the consumer as a process that uses the local stack."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from consumer.settings import CallbackSettings, KafkaSettings, S3Settings, ServingSettings
from producer_tools.local import ports
from producer_tools.local.server import LocalServer

# Settings that say where the services are. The consumer gets those of the stack, and none of these
# from our environment.
STACK_SETTINGS = frozenset(
    name.upper()
    for group in (KafkaSettings, S3Settings, CallbackSettings, ServingSettings)
    for name in group.model_fields
) | {"SECRETS_DIR"}


class ConsumerProcess(LocalServer):
    """`python -m consumer` with a local stack. It is ready when `/readyz` is.

    Args:
        settings: The stack's settings, as environment variables.
        folder: The folder for its log. It is kept. None: a temporary folder.
    """

    name = "Consumer"
    stop_seconds = 40.0  # above the default of SHUTDOWN_GRACE_SECONDS

    def __init__(self, settings: Mapping[str, str], *, folder: Path | None = None) -> None:
        super().__init__(folder=folder)
        self._settings = dict(settings)
        # Without a proxy from the environment, because a proxy can't reach our loopback interface.
        self._http = build_opener(ProxyHandler({}))

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the consumer's command."""
        del first  # it has no data in its folder
        return (sys.executable, "-m", "consumer")

    def environment(self) -> dict[str, str]:
        """Return our environment, with its settings of another line replaced by the stack's."""
        kept = {
            name: value for name, value in os.environ.items() if name.upper() not in STACK_SETTINGS
        }
        own = {"HOST": ports.HOST, "HEALTH_PORT": str(self.port), "LOG_FORMAT": "console"}
        return {**kept, **self._settings, **own}

    def wait_ready(self) -> None:
        """Wait until `/readyz` responds with 200."""
        self.child.wait_until(self._is_ready, seconds=self.start_seconds)

    def _is_ready(self) -> bool:
        try:
            with self._http.open(f"http://{ports.HOST}:{self.port}/readyz", timeout=2):
                return True
        except OSError:  # includes HTTPError, as for the status 503
            return False
