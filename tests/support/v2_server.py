"""A small server of the Open Inference Protocol v2, written from its text, that can misbehave.

It runs a local engine, so that its answers must be that engine's.
"""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal, Self

import numpy as np

from producer_tools.local import ports
from segmentation.deadline import Deadline
from segmentation.model.engine import Engine, Tensor

ServerFault = Literal["", "hang", "frozen", "half", "page", "drop", "drip", "short"]


class V2Server:
    """A server of one model named `trivial`; what it does wrong is set while it runs."""

    def __init__(self, engine: Engine, *, binary: bool) -> None:
        self.engine = engine
        self.binary = binary
        self.status = 200
        self.ready = True
        self.fault: ServerFault = ""
        self.headers: dict[str, str] = {}
        self.told: bytes | None = None
        """The metadata of the model and of the server, in place of what is true."""
        self.infers: bytes | None = None
        """What inference answers, in place of what is true; with a header of JSON alone."""
        self.refuses: Callable[[Tensor], bool] = lambda tensor: False
        self.inputs: list[dict[str, Any]] | None = [_tensor("photo", [1, 3, 16, 16])]
        self.outputs: list[dict[str, Any]] | None = [_tensor("logits", [1, 4, -1, -1])]
        self.asked: list[str] = []
        self.connections = 0
        self.contents: set[str] = set()
        self.released = Event()
        self._server: _Server | None = None
        self.port = ports.choose("the inference server", setting="")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The model's."""
        return f"http://127.0.0.1:{self.port}/v2/models/trivial"

    def start(self) -> None:
        """Serve, on the port of the last time."""
        self._server = _Server(self)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.drop()
            self._server = None
        self.released = Event()

    def metadata(self) -> dict[str, Any]:
        """The model's."""
        known = {"inputs": self.inputs, "outputs": self.outputs}
        return {"name": "trivial", **{key: value for key, value in known.items() if value}}

    def tensor(self, headers: Any, body: bytes) -> Tensor:
        """Read a request's tensor."""
        length = headers.get("Inference-Header-Content-Length")
        sent = json.loads(body[: int(length)] if length else body)["inputs"][0]
        self.contents.add("binary" if length else "json")
        if length:
            assert sent["parameters"]["binary_data_size"] == len(body) - int(length)
            flat = np.frombuffer(body[int(length) :], "<f4")
        else:
            flat = np.array(sent["data"], np.float32)
        return flat.reshape(sent["shape"])

    def infer(self, tensor: Tensor) -> tuple[dict[str, str], bytes]:
        """Run the engine on a tensor."""
        result = self.engine.run(tensor, Deadline(30))
        if "binary" in self.contents:
            return self._as_bytes(result)
        output = {**_tensor("logits", list(result.shape)), "parameters": None}  # null, as KServe
        return {}, json.dumps({"outputs": [{**output, "data": result.ravel().tolist()}]}).encode()

    def _as_bytes(self, result: np.ndarray) -> tuple[dict[str, str], bytes]:
        """Another output before ours, so that a wrong offset shows."""
        before = np.full(3, 7, "<f4")
        outputs = [
            {"name": name, "datatype": "FP32", "shape": list(data.shape),
             "data": None, "parameters": {"binary_data_size": data.nbytes}}
            for name, data in (("before", before), ("logits", result))
        ]  # fmt: skip
        head = json.dumps({"outputs": outputs}).encode()
        data = head + before.tobytes() + result.astype("<f4").tobytes()
        return {"Inference-Header-Content-Length": str(len(head))}, data


def _tensor(name: str, shape: list[int], datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, v2: V2Server) -> None:
        self.v2 = v2
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", v2.port), _Answers)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.v2.connections += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        """Close what is open."""
        for request in [*self._open]:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        v2 = self.server.v2
        v2.asked.append(self.path)
        if v2.fault == "frozen":
            v2.released.wait(30)
        if v2.told is not None and not self.path.endswith("/ready"):
            self._send(200, {}, v2.told)
        elif self.path == "/v2":
            extensions = ["binary_tensor_data"] if v2.binary else []
            self._answer(200, {"name": "test", "version": "1", "extensions": extensions})
        elif self.path.endswith("/ready"):
            self._answer(200 if v2.ready else 503, {})
        else:
            self._answer(200, v2.metadata())

    def do_POST(self) -> None:
        v2 = self.server.v2
        v2.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if v2.fault in ("hang", "frozen"):
            v2.released.wait(30)
        if v2.fault == "drop":
            self.close_connection = True
            return
        tensor = v2.tensor(self.headers, body)
        if v2.status != 200 or v2.refuses(tensor):
            status = 400 if v2.status == 200 else v2.status
            self._answer(status, {"error": "the server's own words"})
            return
        headers, answer = v2.infer(tensor)
        if v2.infers is not None:
            headers, answer = {}, v2.infers
        if v2.fault == "page":
            headers, answer = {}, b"<html>It works!</html>"
        if v2.fault == "short":
            answer = answer[:-4]
        self._send(200, headers, answer)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, {}, json.dumps(content).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        v2 = self.server.v2
        self.send_response(status)
        for name, value in {**headers, **v2.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if v2.fault == "half":
            body, self.close_connection = body[: len(body) // 2], True
        if v2.fault == "drip" and self.command == "POST":
            self.wfile.write(body[:10])
            self.wfile.flush()
            v2.released.wait(30)
        self.wfile.write(body)
