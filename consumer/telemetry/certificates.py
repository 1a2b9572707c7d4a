"""When certificates expire that the settings name."""

import _ssl
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path


def client_certificate_expiry(file: Path) -> float:
    """Give when a client's certificate expires, in seconds since 1970; NaN where it can't be read.

    It is the first in its file. Python has no public way to read it.
    """
    try:
        return _expiry(_ssl._test_decode_cert(str(file)))  # type: ignore[attr-defined]
    except (OSError, ValueError, KeyError):
        return float("nan")


def authorities_expiry(file: Path) -> float:
    """Give when the last of a file's authorities expires; NaN where it can't be read.

    While an authority replaces another, the file has both.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
        return max(map(_expiry, context.get_ca_certs()), default=float("nan"))
    except (OSError, ValueError, KeyError):
        return float("nan")


def expiries(
    *, clients: Mapping[str, Path | None], authorities: Mapping[str, Path | None]
) -> dict[str, Callable[[], float]]:
    """Give for each setting that names a file how to read when its certificate expires.

    Files are replaced while the process runs, so each call reads its file.
    """
    named = [(name, client_certificate_expiry, file) for name, file in clients.items()]
    named += [(name, authorities_expiry, file) for name, file in authorities.items()]
    return {name: partial(read, file) for name, read, file in named if file is not None}


def _expiry(certificate: Mapping[str, object]) -> float:
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
