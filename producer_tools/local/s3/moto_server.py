"""Runs moto's S3 server: `python -m producer_tools.local.s3.moto_server PORT ACCESS_KEY`.

Unlike moto's own server it keeps connections open, and logs only errors. SIGUSR1 closes the port
and every connection. SIGUSR2 opens the port again. The objects are kept.
"""

import contextlib
import io
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import FakeKey, s3_backends
from werkzeug.serving import ThreadedWSGIServer

from producer_tools.local.ports import HOST

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_UNKNOWN_KEY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidAccessKeyId</Code><Message>The '
    b"AWS Access Key Id you provided does not exist in our records.</Message></Error>"
)


class KeepAliveRequestHandler(MotoRequestHandler):
    """Serves the requests of one connection, one after another.

    werkzeug's handler closes the connection after each response, because an application may leave a
    part of the body unread. This one reads the complete body first.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Serve one request."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        chunked = environ.get("wsgi.input_terminated", False)
        length = -1 if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_error: Any) -> Any:
            answered.append((status, headers))

        parts = self.server.app(environ, start_response)
        self._answer(*answered[-1], b"".join(parts))

    def _answer(self, status: str, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        head = self.command == "HEAD"  # the Content-Length is that of the object
        for name, value in headers:
            if head or name.lower() != "content-length":
                self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing, because logging a request would take longer than the request."""


class Server(ThreadedWSGIServer):
    """The open port and its connections."""

    def __init__(self, port: int, app: Application) -> None:
        super().__init__(HOST, port, app, KeepAliveRequestHandler)
        self._connections: set[socket.socket] = set()
        Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Close the port and every connection, also those with a request in progress."""
        self.shutdown()
        # The port is closed last: when a caller sees it closed, every connection is cut.
        for connection in tuple(self._connections):
            # The thread of a connection whose client has gone closes it at any time.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


def application(access_key: str) -> Application:
    """Return moto's S3 application, for callers with this access key or without any."""
    # Without the dispatcher of moto_server, which lists the folders of its services at each
    # request.
    s3 = create_backend_app("s3")
    known = f"Credential={access_key}/"

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if "Credential=" in authorization and known not in authorization:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_UNKNOWN_KEY]
        if (found := _plain_get(environ)) is not None:
            start_response("200 OK", list(found.response_dict.items()))
            return [found.value]
        return s3(environ, start_response)

    return answer


def _plain_get(environ: dict[str, Any]) -> Any:
    """Return the object of a GET request without options, or None for other requests.

    A consumer makes one such request for each photo. moto's own request handling takes four times
    as long.
    """
    conditions = ("HTTP_RANGE", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
    if environ["REQUEST_METHOD"] != "GET" or environ["QUERY_STRING"]:
        return None
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    if not key or any(name in environ for name in conditions):
        return None
    name = key.encode("latin-1").decode(errors="replace")  # as WSGI encodes it
    try:
        found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, name)
    except ServiceException:
        return None
    return found if isinstance(found, FakeKey) else None


def main() -> None:
    """Serve until SIGTERM."""
    port, access_key = int(sys.argv[1]), sys.argv[2]
    expected = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
    signal.pthread_sigmask(signal.SIG_BLOCK, expected)  # before the threads start, which inherit it
    app = application(access_key)
    server: Server | None = Server(port, app)
    while (received := signal.sigwait(expected)) != signal.SIGTERM:
        if received == signal.SIGUSR1 and server is not None:
            server.close()
            server = None
        elif received == signal.SIGUSR2 and server is None:
            server = Server(port, app)


if __name__ == "__main__":
    main()
