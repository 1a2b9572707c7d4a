"""Lists in settings: entries with commas, each of which can match something."""

from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from schemas.image_reference import ImageReference


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    entries = tuple(part.strip() for part in value.split(",") if part.strip())
    if not entries:
        raise ValueError("has no entry; to leave it unset, leave it empty")
    return entries


def _bucket(entry: str) -> str:
    """Keep `bucket` or `bucket/prefix` where a job's `image` can lie in it."""
    bucket, _, prefix = entry.partition("/")
    try:
        ImageReference.parse(f"s3://{bucket}/{quote(prefix or 'any')}")
    except ValueError as error:
        raise ValueError(f"is not a bucket or bucket/prefix: {error}") from None
    return entry


Entry = TypeVar("Entry")
CommaList = Annotated[tuple[Entry, ...], NoDecode, BeforeValidator(_split)]
"""Entries with commas, at least one."""
Bucket = Annotated[str, AfterValidator(_bucket)]
"""`bucket` or `bucket/prefix`."""
