"""Starts the mask-asset service as a process of the local stack, and controls it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from producer_tools.local import ports
from producer_tools.local.mask_asset.paths import BEHAVIOUR_PATH, LOG_PATH, UPLOAD_PATH
from producer_tools.local.server import LocalServer

BUCKET = "mask-assets"
SECRET = "key-of-the-local-receiver"  # noqa: S105 - for a service on this machine's loopback


class MaskAssets(LocalServer):
    """The mask-asset service. Tests can make it misbehave.

    Args:
        s3_endpoint_url: The S3 server that stores the masks, with the bucket `mask-assets`. None:
            the latest masks are kept in memory.
        secret: The value that uploads must have in the header `X-Internal-Auth`.
        port: None chooses a free port.
        folder: The folder for its log. It is kept. None: a temporary folder.
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
        self._misbehaviours: tuple[dict[str, Any], ...] = ()

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the service's command."""
        del first  # it has no data in its folder
        module = "producer_tools.local.mask_asset"
        return (sys.executable, "-m", module, str(self.port), BUCKET)

    def environment(self) -> dict[str, str]:
        """Return the environment with its secret, its S3 and the misbehaviours of `behave`."""
        return {
            **os.environ,
            "MASK_COMPONENT_SECRET": self.secret,
            "S3_ENDPOINT_URL": self.s3_endpoint_url or "",
            "MISBEHAVIOUR": json.dumps(self._misbehaviours),
        }

    def client_environment(self) -> dict[str, str]:
        """Return the consumer's settings for this service, as environment variables."""
        return {
            "MASK_ASSET_URL": f"{self.url}{UPLOAD_PATH}",
            "MASK_COMPONENT_SECRET": self.secret,
        }

    def misbehave(self, **misbehaviour: Any) -> None:
        """Activate one more misbehaviour, given by its fields."""
        httpx.post(f"{self.url}{BEHAVIOUR_PATH}", json=misbehaviour).raise_for_status()

    def behave(self, *misbehaviours: dict[str, Any]) -> None:
        """Replace the active misbehaviours. A restart keeps these."""
        httpx.put(f"{self.url}{BEHAVIOUR_PATH}", json=misbehaviours).raise_for_status()
        self._misbehaviours = misbehaviours

    def uploads(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the uploads from number `since` on, each with the fields of `Upload`."""
        response = httpx.get(f"{self.url}{LOG_PATH}", params={"from": since}, timeout=60)
        return [json.loads(line) for line in response.raise_for_status().text.splitlines()]

    def counters(self) -> dict[str, int]:
        """Return the numbers of uploads that arrived, were stored, were refused and so on."""
        counters: dict[str, int] = httpx.get(self.url).raise_for_status().json()
        return counters
