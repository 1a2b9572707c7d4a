"""Where a photo lies: a bucket, a key and perhaps a version."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, unquote

MAX_KEY_BYTES: Final = 1024
MAX_TEXT: Final = 8192
"""Characters of a reference: a key and a version, each of 1,024 bytes all percent-encoded, fit."""

PATTERN: Final = r"^(s3|minio)://[A-Za-z0-9._-]{1,255}/[^?]+(\?versionId=[^?&]+)?$"
"""What a reference looks like; kept to what every regular expression engine knows."""

_REFERENCE: Final = re.compile(
    r"(?:s3|minio)://(?P<bucket>[^/?#]*)/(?P<key>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL
)
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One object in S3, its key already percent-decoded."""

    bucket: str
    key: str
    version_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `s3://bucket/key` or `minio://bucket/key`, perhaps with `?versionId=`.

        Raises:
            ValueError: when it is anything else; the text says what.
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
    """Take the version out of a query that says nothing else."""
    name, _, version = query.partition("=")
    if name != "versionId" or "&" in version or "?" in version:
        raise ValueError("the only query is ?versionId=; a ? in a key is written %3F")
    return version


def _decoded(name: str, text: str) -> str:
    """Percent-decode once; refuse what no object in S3 can be called."""
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
