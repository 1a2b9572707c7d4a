"""Starts moto's S3 server as a process of the local stack, and controls it."""

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
ACCESS_KEY = "local-stack"
SECRET_KEY = "key-of-the-local-s3"  # noqa: S105 - for a server that lives on this machine's loopback

_POLL_SECONDS = 0.01


class S3(LocalServer):
    """An S3 server that keeps its objects in memory.

    `kill` and `restart` lose the objects. To make S3 unavailable for a while without losing them,
    use `down` and `up` (the port is closed, connections are cut) or `pause` and `resume` (requests
    hang). It checks only the access key of its callers: with another one they get
    `InvalidAccessKeyId`. It doesn't check the secret key.
    """

    name = "S3"

    @property
    def endpoint_url(self) -> str:
        """Its base URL."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the server's command."""
        del first  # it has no data in its folder
        module = "producer_tools.local.s3.moto_server"
        return (sys.executable, "-m", module, str(self.port), ACCESS_KEY)

    def environment(self) -> dict[str, str]:
        """Return our environment, with its folder for the files of large objects."""
        return {**os.environ, "TMPDIR": str(self.folder)}

    def client_environment(self) -> dict[str, str]:
        """Return the settings of its clients, as environment variables."""
        return {
            "S3_ENDPOINT_URL": self.endpoint_url,
            "S3_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def client(self, **changes: Any) -> Any:
        """Return a boto3 client of it. `changes` replace arguments for boto3."""
        return s3_client(self.endpoint_url, **changes)

    def create_bucket(self, name: str) -> None:
        """Create a bucket, if it doesn't exist."""
        self.client().create_bucket(Bucket=name)

    def expire(self, bucket: str, *, days: int) -> None:
        """Let objects of a bucket be removed so many days after they were stored."""
        rule = {
            "ID": "expire",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": days},
        }
        self.client().put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
        )

    def down(self) -> None:
        """Close the port and cut every connection. The objects are kept for `up`."""
        self.child.signal(signal.SIGUSR1)
        while ports.is_open(self.port):
            time.sleep(_POLL_SECONDS)

    def up(self) -> None:
        """Open the port again after `down`."""
        self.child.signal(signal.SIGUSR2)
        self.wait_ready()


def s3_client(endpoint_url: str, *, connections: int = 10, **changes: Any) -> Any:
    """Return a boto3 client of the local S3 that keeps up to `connections` connections."""
    config = Config(
        s3={"addressing_style": "path"},
        max_pool_connections=connections,
        # A checksum in every request takes a third of the time of a small request, and isn't needed
        # on the loopback interface.
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
