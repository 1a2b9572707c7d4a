"""Requests from httpx to httpcore, and errors back."""

import httpcore
import httpx

FAULTS = (httpcore.NetworkError, httpcore.ProtocolError, OSError)
"""The exceptions of an exchange that ends without a response."""


def to_httpcore(request: httpx.Request) -> httpcore.Request:
    """Convert a request. Its headers and body stay as they are."""
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
    )


def to_httpx(error: Exception) -> httpx.TransportError:
    """Convert an exception of an exchange that ended without a response."""
    return httpx.TransportError(str(error) or type(error).__name__)
