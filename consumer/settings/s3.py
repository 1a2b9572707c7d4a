"""Where photos are, and with which keys they are read."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from consumer.settings.addresses import Endpoint
from consumer.settings.files import NamedFile
from consumer.settings.group import SettingsGroup
from consumer.settings.line import DAY_SECONDS
from consumer.settings.lists import Bucket, CommaList

_REGION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def _bucket(name: str) -> str:
    if _BUCKET.fullmatch(name) is None:
        raise ValueError("is not a name that a bucket can have")
    return name


def _region(name: str) -> str:
    if _REGION.fullmatch(name) is None:
        raise ValueError("is not a region; it looks like eu-central-1")
    return name


class S3Settings(SettingsGroup):
    """Where photos are; without keys of our own, AWS's credential chain is asked."""

    s3_endpoint_url: Endpoint | None = None
    s3_region: Annotated[str, AfterValidator(_region)] = "us-east-1"
    s3_allowed_buckets: CommaList[Bucket] = ()
    upload_bucket: Annotated[str, AfterValidator(_bucket)] = "mask-uploads"
    fetch_deadline_seconds: float = Field(120, gt=0, le=DAY_SECONDS)
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_ca_bundle: NamedFile | None = None

    @model_validator(mode="after")
    def _keys_can_sign(self) -> Self:
        keys: dict[str, SecretStr | None] = {name: getattr(self, name) for name in _KEYS}
        given = [name for name, key in keys.items() if key is not None and _is_key(key)]
        wrong = [name.upper() for name, key in keys.items() if key is not None and not _is_key(key)]
        if wrong:  # said here, where pydantic doesn't show the value
            raise ValueError(
                f"{', '.join(wrong)}: it is empty, begins or ends with a space, or has odd"
                " characters"
            )
        if given and not set(_KEYS[:2]) <= set(given):
            raise ValueError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together:"
                f" only {', '.join(given).upper()} is set"
            )
        return self


def _is_key(key: SecretStr) -> bool:
    value = key.get_secret_value()
    return bool(value) and value == value.strip() and value.isprintable() and value.isascii()
