"""An address that a job may give for its masks."""

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

PATTERN: Final = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"([/?#][!-\[\]-~]*)?$"
)
"""An absolute http or https URL in printable ASCII, without user, password or backslash."""

_URL: Final = re.compile(PATTERN.removesuffix("$"))


def _callable(url: str) -> str:
    """Keep an absolute URL whose host and port can exist; anything else would fail much later."""
    if _URL.fullmatch(url) is None:
        raise ValueError("not an absolute http or https URL in ASCII, without user and password")
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("port 0 can't be called")
    host = parts.hostname or ""
    if re.fullmatch(r"[0-9.]+", host):
        ipaddress.IPv4Address(host)
    return url


CallbackUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra={"pattern": PATTERN}), AfterValidator(_callable)
]
"""An absolute http or https URL, kept as it was written."""
