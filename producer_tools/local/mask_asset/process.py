"""The mask-asset service as a part of the local stack."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from producer_tools.local import ports
from producer_tools.local.server import LocalServer

BUCKET = "mask-assets"
SECRET = "maskline-internal"  # noqa: S105 - for a service on this machine's loopback


class MaskAssets(LocalServer):
    """The mask-asset service; its answers can be told to go wrong.

    Args:
        s3_endpoint_url: The S3 that keeps the masks, with the bucket `mask-assets` in it; None
            keeps the latest ones in memory.
        secret: What X-Internal-Auth must say.
        port: None chooses a free one.
        folder: Where its log is kept, also afterwards; None takes a temporary folder.
    """

    name = "Mask-asset service"

    def __init__(
        self,
        *,
        s3_endpoint_url: str | None,
        secret: str = SECRET,
        port: int | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(port=port, folder=folder)
        self.s3_endpoint_url = s3_endpoint_url
        self.secret = secret
        self._rules: tuple[dict[str, Any], ...] = ()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the service's command."""
        del first  # it keeps nothing in its folder
        module = "producer_tools.local.mask_asset"
        return (sys.executable, "-m", module, str(self.port), BUCKET)

    def environment(self) -> dict[str, str]:
        """Give the service its secret, its S3 and the rules of the last `behave`."""
        return {
            **os.environ,
            "MASK_COMPONENT_SECRET": self.secret,
            "S3_ENDPOINT_URL": self.s3_endpoint_url or "",
            "MISBEHAVIOUR": json.dumps(self._rules),
        }

    def client_environment(self) -> dict[str, str]:
        """What the consumer has in its environment to call it."""
        return {
            "MASK_ASSET_URL": f"{self.url}/v1/mask/upload",
            "MASK_COMPONENT_SECRET": self.secret,
        }

    def misbehave(self, **rule: Any) -> None:
        """Put a rule of `Misbehaviour` in force, after those that are."""
        httpx.post(f"{self.url}/behaviour", json=rule).raise_for_status()

    def behave(self, *rules: dict[str, Any]) -> None:
        """Put these rules of `Misbehaviour` in force and no others, after a restart, too."""
        httpx.put(f"{self.url}/behaviour", json=rules).raise_for_status()
        self._rules = rules

    def uploads(self, *, since: int = 0) -> list[dict[str, Any]]:
        """The log from number `since` on, as dictionaries of `Upload`."""
        answer = httpx.get(f"{self.url}/uploads", params={"from": since}, timeout=60)
        return [json.loads(line) for line in answer.raise_for_status().text.splitlines()]

    def counters(self) -> dict[str, int]:
        """How many uploads came, and what became of them."""
        counters: dict[str, int] = httpx.get(self.url).raise_for_status().json()
        return counters
