"""The reference to a photo in S3: a bucket, a key and optionally a version."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote

MAX_KEY_BYTES = 1024
MAX_TEXT = 8192
"""Longest reference in characters. It has room for a key and a version of 1,024 percent-encoded
bytes each."""

PATTERN = r"^(s3|minio)://[A-Za-z0-9._-]{1,255}/[^?]+(\?versionId=[^?&]+)?$"
"""The form of a reference, for JSON Schema. Every regular expression engine supports it."""

_REFERENCE = re.compile(
    r"(?:s3|minio)://(?P<bucket>[^/?#]*)/(?P<key>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL
)
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One object in S3. Its key is percent-decoded."""

    bucket: str
    key: str
    version_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `s3://bucket/key` or `minio://bucket/key`, optionally with `?versionId=`.

        Raises:
            ValueError: The text has another form. The message states which part is wrong.
        """
        parts = _REFERENCE.fullmatch(text)
        if parts is None or len(text) > MAX_TEXT:
            raise ValueError("an image is s3://bucket/key or minio://bucket/key")
        if _BUCKET.fullmatch(parts["bucket"]) is None:
            raise ValueError("the bucket's name is empty or has characters that no bucket has")
        query = parts["query"]
        return cls(
            bucket=parts["bucket"],
            key=_decoded("key", parts["key"]),
            version_id=None if query is None else _decoded("versionId", _version(query)),
        )

    def __str__(self) -> str:
        """Write the reference so that `parse` reads it back."""
        text = f"s3://{self.bucket}/{quote(self.key)}"
        return text if self.version_id is None else f"{text}?versionId={quote(self.version_id)}"


def _version(query: str) -> str:
    """Return the version in a query that has no other parameter."""
    name, _, version = query.partition("=")
    if name != "versionId" or "&" in version or "?" in version:
        raise ValueError("the only query is ?versionId=; a ? in a key is written %3F")
    return version


def _decoded(name: str, text: str) -> str:
    """Percent-decode once, and refuse a name that no object in S3 can have."""
    try:
        decoded = unquote(text, errors="strict")
        size = len(decoded.encode())
    except UnicodeError:
        raise ValueError(f"the {name} is not UTF-8") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise ValueError(f"the {name} has {size} bytes, not 1 to {MAX_KEY_BYTES}")
    if "\0" in decoded:
        raise ValueError(f"the {name} has a NUL")
    return decoded
