"""boto3's client of S3, set up for a service that retries by itself."""

from typing import Any

import boto3
from botocore.config import Config

from consumer.settings import S3Settings

CONNECT_SECONDS = 5
READ_SECONDS = 30


def make_client(settings: S3Settings, *, connections: int) -> Any:
    """Make the client; call it in a thread, since it reads files and may ask for credentials."""
    config = Config(
        max_pool_connections=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        tcp_keepalive=True,
        # botocore's own, a list of its features, takes a tenth of a request's time to put together.
        user_agent="maskline",
        # We hold, with an event for each wait; botocore would retry unseen.
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of our own: boto3's default one is shared by the whole process and not thread-safe.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        config=config,
    )
