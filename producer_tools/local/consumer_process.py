"""The consumer as a process of the local stack."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from consumer.settings import CallbackSettings, KafkaSettings, S3Settings, ServingSettings
from producer_tools.local import ports
from producer_tools.local.server import LocalServer

# Of the caller's own settings only those count that say how the line works, not where.
_OURS = frozenset(
    name.upper()
    for group in (KafkaSettings, S3Settings, CallbackSettings, ServingSettings)
    for name in group.model_fields
) | {"SECRETS_DIR"}


class ConsumerProcess(LocalServer):
    """`python -m consumer` beside a local stack; ready when its lane is open.

    Args:
        settings: Where the stack is, as environment variables.
        folder: Where its log is kept, also afterwards; None takes a temporary folder.
    """

    name = "Consumer"
    stop_seconds = 40.0  # above the default of SHUTDOWN_GRACE_SECONDS

    def __init__(self, settings: Mapping[str, str], *, folder: Path | None = None) -> None:
        super().__init__(folder=folder)
        self._settings = dict(settings)
        # Not the proxy that the environment may name: it can't reach this machine's loopback.
        self._http = build_opener(ProxyHandler({}))

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the consumer's command."""
        del first  # it keeps nothing in its folder
        return (sys.executable, "-m", "consumer")

    def environment(self) -> dict[str, str]:
        """Our environment, with the stack's settings in the place of those of another line."""
        kept = {name: value for name, value in os.environ.items() if name.upper() not in _OURS}
        own = {"HOST": ports.HOST, "HEALTH_PORT": str(self.port), "LOG_FORMAT": "console"}
        return {**kept, **self._settings, **own}

    def wait_ready(self) -> None:
        """Return when `/readyz` says so."""
        self.child.wait_until(self._is_ready, seconds=self.start_seconds)

    def _is_ready(self) -> bool:
        try:
            with self._http.open(f"http://{ports.HOST}:{self.port}/readyz", timeout=2):
                return True
        except OSError:  # an HTTPError, as of 503, is one too
            return False
