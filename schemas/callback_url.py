"""The URL to which a job may have its masks sent."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

PATTERN = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"([/?#][!-\[\]-~]*)?$"
)
"""An absolute http or https URL in printable ASCII, without user, password or backslash."""

_URL = re.compile(PATTERN.removesuffix("$"))


def _check_url(url: str) -> str:
    """Check the URL's host and port now, because a wrong one would fail only after inference."""
    if _URL.fullmatch(url) is None:
        raise ValueError("not an absolute http or https URL in ASCII, without user and password")
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("port 0 can't be used")
    host = parts.hostname or ""
    if re.fullmatch(r"[0-9.]+", host):
        ipaddress.IPv4Address(host)
    return url


CallbackUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra={"pattern": PATTERN}), AfterValidator(_check_url)
]
"""An absolute http or https URL. It is not normalised."""
