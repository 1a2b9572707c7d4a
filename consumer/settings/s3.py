"""Where photos are, and with which keys they are read."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from consumer.settings.base import CommaList, SettingsGroup, Url

_REGION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def _bucket(name: str) -> str:
    if _BUCKET.fullmatch(name) is None:
        raise ValueError("no bucket can have this name")
    return name


def _region(name: str) -> str:
    if _REGION.fullmatch(name) is None:
        raise ValueError("no region can have this name; it looks like eu-central-1")
    return name


class S3Settings(SettingsGroup):
    """Where photos are; without keys of our own, AWS's credential chain is asked."""

    s3_endpoint_url: Url | None = None
    s3_region: Annotated[str, AfterValidator(_region)] = "us-east-1"
    s3_allowed_buckets: CommaList = ()
    upload_bucket: Annotated[str, AfterValidator(_bucket)] = "mask-uploads"
    fetch_deadline_seconds: float = Field(120, gt=0, le=86_400, allow_inf_nan=False)
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_ca_bundle: Path | None = None

    @field_validator("s3_allowed_buckets")
    @classmethod
    def _entries_can_match(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            if _BUCKET.fullmatch(entry.partition("/")[0]) is None:
                raise ValueError(f"{entry!r} is neither a bucket nor bucket/prefix")
        return entries

    @model_validator(mode="after")
    def _keys_can_sign(self) -> Self:
        given = {name: key for name in _KEYS if (key := getattr(self, name)) is not None}
        for name, key in given.items():
            if re.fullmatch(r"[!-~]+", key.get_secret_value()) is None:
                raise ValueError(
                    f"{name.upper()} is empty, or has a space or a character that no key has"
                )
        if given and not {*_KEYS[:2]} <= given.keys():
            raise ValueError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together:"
                f" only {' and '.join(sorted(given)).upper().replace(' AND ', ' and ')} is set"
            )
        return self
