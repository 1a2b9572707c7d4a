"""Another server, asked over a connection of its own: does it answer, how long is it certified?"""

import asyncio
import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

CONNECT_SECONDS = 5.0
DAY_SECONDS = 86_400


class NoAnswer(Exception):
    """Nobody answers there. The message says how."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What a server answered."""

    status: int = 0
    expires: float | None = None
    """When its certificate expires, in seconds since 1970; None without TLS."""
    ahead: float | None = None
    """By how many seconds our clock is ahead of its; None where it tells no time."""


async def ask(
    url: str, *, ca_file: Path | None, method: str, headers: dict[str, str] | None = None
) -> Peer:
    """Send a request without a body, follow nothing, and read the head of the answer.

    Raises:
        NoAnswer: there was none.
    """
    return await asyncio.to_thread(_ask, url, ca_file, method, headers or {})


async def connect(host: str, port: int, *, tls: ssl.SSLContext | None) -> Peer:
    """Open a connection and close it again.

    Raises:
        NoAnswer: it can't be opened.
    """
    return await asyncio.to_thread(_connect, host, port, tls)


def _ask(url: str, ca_file: Path | None, method: str, headers: dict[str, str]) -> Peer:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    connection: http.client.HTTPConnection
    if secure:
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=CONNECT_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.connect()
        expires = _expires(connection.sock)
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return Peer(answer.status, expires, _ahead(answer.getheader("date")))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(_words(error)) from error
    finally:
        connection.close()


def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> Peer:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as plain:
            if tls is None:
                return Peer()
            with tls.wrap_socket(plain, server_hostname=host) as secure:
                return Peer(expires=_expires(secure))
    except (OSError, ValueError) as error:
        raise NoAnswer(_words(error)) from error


def _expires(connection: socket.socket) -> float | None:
    if not isinstance(connection, ssl.SSLSocket):
        return None
    certificate = connection.getpeercert()
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None


def _ahead(date: str | None) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None


def _words(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return "no such host, or no name server answers"
        case ssl.SSLCertVerificationError():
            return f"its certificate isn't trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS fails: {error.reason or error}"
        case TimeoutError():
            return f"no answer within {CONNECT_SECONDS:g} s"
        case ConnectionRefusedError():
            return "the connection is refused: nothing listens there"
        case _:
            return str(error) or repr(error)
