"""moto's S3 as a server of its own: connections kept alive, nothing logged but errors.

Run as `python -m producer_tools.local.s3.moto_server PORT ACCESS_KEY`. SIGUSR1 closes the port
and every connection, SIGUSR2 opens the port again; the objects stay.
"""

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


class Requests(MotoRequestHandler):
    """Answers the requests of one connection, one after another.

    werkzeug's own handler closes the connection after each answer, because an application may
    leave a part of the body unread. This one reads the whole body first.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request."""
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
        head = self.command == "HEAD"  # its Content-Length is that of the object
        for name, value in headers:
            if head or name.lower() != "content-length":
                self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a line a request would cost more than the request."""


class Server(ThreadedWSGIServer):
    """The open port with its connections."""

    def __init__(self, port: int, app: Application) -> None:
        super().__init__(HOST, port, app, Requests)
        self._connections: set[socket.socket] = set()
        Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection's requests in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Close the port and every connection, requests under way included."""
        self.shutdown()
        # The port last: whoever finds it closed finds every connection cut.
        for connection in tuple(self._connections):
            connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


def application(access_key: str) -> Application:
    """Give moto's S3, for callers that name the one access key or none at all."""
    # The dispatcher that moto_server puts before it lists its services' folders at each request.
    s3 = create_backend_app("s3")
    known = f"Credential={access_key}/"

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if "Credential=" in authorization and known not in authorization:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_UNKNOWN_KEY]
        if (found := _plainly_asked(environ)) is not None:
            start_response("200 OK", list(found.response_dict.items()))
            return [found.value]
        return s3(environ, start_response)

    return answer


def _plainly_asked(environ: dict[str, Any]) -> Any:
    """Give the object of a plain GET, of which a consumer makes one for each photo, else None.

    The way through moto's request handling, for all else that S3 knows, takes four times as long.
    """
    conditions = ("HTTP_RANGE", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
    if environ["REQUEST_METHOD"] != "GET" or environ["QUERY_STRING"]:
        return None
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    if not key or any(name in environ for name in conditions):
        return None
    name = key.encode("latin-1").decode(errors="replace")  # as WSGI hands it over
    try:
        found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, name)
    except ServiceException:
        return None
    return found if isinstance(found, FakeKey) else None


def main() -> None:
    """Serve until SIGTERM."""
    port, access_key = int(sys.argv[1]), sys.argv[2]
    expected = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
    signal.pthread_sigmask(signal.SIG_BLOCK, expected)  # before the threads, which inherit it
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
