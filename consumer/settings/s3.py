"""Where photos are."""

from typing import Annotated

from pydantic import Field

from consumer.settings.addresses import Endpoint
from consumer.settings.base import SettingsGroup
from consumer.settings.lists import Bucket, CommaList


class S3Settings(SettingsGroup):
    """Where photos are; credentials come from the AWS chain."""

    s3_endpoint_url: Endpoint | None = None
    s3_region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")] = "us-east-1"
    s3_allowed_buckets: CommaList[Bucket] = ()
