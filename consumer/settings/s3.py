"""Where photos are."""

from consumer.settings.base import CommaList, SettingsGroup, Url


class S3Settings(SettingsGroup):
    """Where photos are; credentials come from the AWS chain."""

    s3_endpoint_url: Url | None = None
    s3_region: str = "us-east-1"
    s3_allowed_buckets: CommaList = ()
