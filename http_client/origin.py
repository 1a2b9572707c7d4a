"""The origin of a URL."""

from functools import lru_cache

import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one spelling that `origin` gives."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def origin(url: str) -> Origin:
    """Scheme, host and port of a URL, as the connection will be made: one parser, no tricks.

    Raises:
        ValueError: it isn't an http or https URL with a host, or it has a user or password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.host:
        raise ValueError("not an absolute http or https URL")
    if parsed.userinfo:
        raise ValueError("a URL with a user or password")
    host = parsed.raw_host.decode("ascii").lower()
    return parsed.scheme, host, parsed.port or _DEFAULT_PORTS[parsed.scheme]
