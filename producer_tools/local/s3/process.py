"""An S3 server on this machine: moto's, in a process of its own."""

import os
import signal
import sys
import time
from typing import Any

import boto3
from botocore.config import Config

from producer_tools.local import ports
from producer_tools.local.server import LocalServer

REGION = "us-east-1"
ACCESS_KEY = "maskline"
SECRET_KEY = "maskline-secret"  # noqa: S105 - for a server that lives on this machine's loopback

_POLL_SECONDS = 0.01


class S3(LocalServer):
    """An S3 server, its objects in memory.

    `kill` and `restart` lose the objects. To have S3 away for a while and back with its objects,
    use `down` and `up` (the port is closed, connections are cut) or `pause` and `resume` (requests
    hang). It knows its callers by the access key alone: another one than ours is answered
    `InvalidAccessKeyId`; a wrong secret goes unnoticed.
    """

    name = "S3"

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the server's command."""
        del first  # it keeps nothing in its folder
        module = "producer_tools.local.s3.moto_server"
        return (sys.executable, "-m", module, str(self.port), ACCESS_KEY)

    def environment(self) -> dict[str, str]:
        """Our environment, with large objects' files going the folder's way."""
        return {**os.environ, "TMPDIR": str(self.folder)}

    def client_environment(self) -> dict[str, str]:
        """What a client of it has in its environment."""
        return {
            "S3_ENDPOINT_URL": self.endpoint_url,
            "S3_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def client(self, **changes: Any) -> Any:
        """A boto3 client of it; `changes` go to boto3 in place of what `client` chooses."""
        return client(self.endpoint_url, **changes)

    def create_bucket(self, name: str) -> None:
        """Make a bucket; one that exists already stays as it is."""
        self.client().create_bucket(Bucket=name)

    def down(self) -> None:
        """Close the port and cut every connection; the objects stay for `up`."""
        self.child.signal(signal.SIGUSR1)
        while ports.is_open(self.port):
            time.sleep(_POLL_SECONDS)

    def up(self) -> None:
        """Open the port again after `down`."""
        self.child.signal(signal.SIGUSR2)
        self.wait_ready()


def client(endpoint_url: str, *, connections: int = 10, **changes: Any) -> Any:
    """A boto3 client of the local S3, which reuses up to `connections` connections."""
    config = Config(
        s3={"addressing_style": "path"},
        max_pool_connections=connections,
        # A checksum of its own in every request takes a third of a small one's time, and on the
        # loopback it guards nothing.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    chosen = {
        "endpoint_url": endpoint_url,
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "config": config,
    }
    return boto3.client("s3", **(chosen | changes))
