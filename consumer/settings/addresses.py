"""Addresses in settings: what every reader of a URL understands in the same way, and nothing else.

Two libraries may read two hosts out of one odd URL, so such a URL is refused. So is one with a user
or a password, which would show wherever the address is shown.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator

_HOST = r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?::(?P<port>[0-9]{1,5}))?"
_BROKER = re.compile(_HOST + _PORT)
_ORIGIN = re.compile(rf"(?i:https?)://{_HOST}{_PORT}/?")
_ENDPOINT = re.compile(rf"(?i:https?)://{_HOST}{_PORT}(/[!-~]*)?")
_URL = re.compile(rf"(?i:https?)://{_HOST}{_PORT}(/[!-~]*)?(\?[!-~]*)?")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME = 253
_HIGHEST_PORT = 65535


def _url(text: str) -> str:
    """Keep an http or https URL."""
    return _parsed(_URL, text, "a URL like https://host:port/path", without="#\\")


def _endpoint(text: str) -> str:
    """Keep a URL that others are made from, by what is put behind it."""
    return _parsed(_ENDPOINT, text, "a URL like https://host:port, without query", without="?#\\")


def _origin(text: str) -> str:
    """Keep an origin, as browsers have it."""
    return _parsed(_ORIGIN, text, "an origin like https://host:port")


def _brokers(text: str) -> str:
    """Keep a list of `host:port`, without spaces."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise ValueError("has no entry")
    return ",".join(_parsed(_BROKER, entry, "host:port, with commas") for entry in entries)


def _host(text: str) -> str:
    """Keep a host's name or address to listen at; an IPv6 address has no brackets here."""
    if ":" in text:
        IPv6Address(text)
    else:
        _check_host(text)
    return text


Url = Annotated[str, AfterValidator(_url)]
"""An http or https URL."""
Endpoint = Annotated[str, AfterValidator(_endpoint)]
"""An http or https URL without a query: what is asked for there is put behind it."""
Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and port."""
Brokers = Annotated[str, AfterValidator(_brokers)]
"""`host:port` with commas."""
Host = Annotated[str, AfterValidator(_host)]
"""A name or an address of this machine."""


def _parsed(pattern: re.Pattern[str], text: str, wanted: str, *, without: str = "") -> str:
    authority = text.partition("://")[2] or text
    if "@" in re.split(r"[/?#]", authority)[0]:
        raise ValueError("must not have a user or password in it")
    parts = pattern.fullmatch(text)
    if parts is None or set(without).intersection(text):
        raise ValueError(f"is not {wanted}, in ASCII")
    _check_host(parts["host"])
    if parts["port"] is not None and not 0 < int(parts["port"]) <= _HIGHEST_PORT:
        raise ValueError(f"has a port that is not 1 to {_HIGHEST_PORT}")
    return text


def _check_host(host: str) -> None:
    """Refuse what no resolver takes: Python's raises an error of its own for it, much later."""
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif re.fullmatch(r"[0-9.]+", host):
            IPv4Address(host)
        elif len(host) > _LONGEST_NAME or not all(
            _LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")
        ):
            raise ValueError("no name of a host")
    except (AddressValueError, ValueError) as error:
        raise ValueError(f"has a host that can't be: {error}") from None
