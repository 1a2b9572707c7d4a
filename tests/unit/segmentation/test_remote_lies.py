"""A server that doesn't tell the truth is set up wrongly: jobs wait, and none gets its masks."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import EngineUnavailable, ModelError
from segmentation.model.manifest import Manifest
from segmentation.remote.open_inference import read_error, read_tensor_specs
from segmentation.remote.remote_model import RemoteModel
from tests.support.raw_server import RawServer, read_head, read_request
from tests.support.v2_server import V2Server

TENSOR = np.ones((1, 3, 16, 16), np.float32)
CLASSES = 4
DEEP = b"[" * 100_000


def output(shape: object, data: object, datatype: str = "FP32") -> bytes:
    """An answer with one output; Python's JSON has NaN and numbers of any length."""
    said = {"name": "logits", "datatype": datatype, "shape": shape, "data": data}
    return json.dumps({"outputs": [said]}).encode()


def planes(*replaced: object) -> list[object]:
    """The numbers of good planes of 2 x 2, the first of them replaced."""
    return [*replaced, *([0.5] * (CLASSES * 4 - len(replaced)))]


@pytest.fixture
def server(catalog: Catalog) -> Iterator[V2Server]:
    """A server of `trivial` that speaks JSON."""
    with V2Server(catalog.model("trivial"), binary=False) as running:
        yield running


@pytest.fixture
def remote(server: V2Server) -> Iterator[RemoteModel]:
    """`trivial` as that server's model."""
    model = RemoteModel(described(server.engine.manifest, server.url))
    yield model
    model.close()


def described(manifest: Manifest, url: str) -> Manifest:
    """The manifest, with a URL in place of the file."""
    said = manifest.model_dump(exclude_none=True, exclude={"file", "sha256"})
    return Manifest.model_validate({**said, "url": url})


def test_planes_as_the_manifest_says_are_taken(remote: RemoteModel, server: V2Server) -> None:
    """With and without the batch's axis."""
    for shape in ([1, CLASSES, 2, 2], [CLASSES, 2, 2]):
        server.infers = output(shape, planes())
        assert list(remote.run(TENSOR, Deadline(30)).shape) == shape


LIES = {
    "nan": output([1, CLASSES, 2, 2], planes(float("nan"))),
    "infinity": output([1, CLASSES, 2, 2], planes(float("inf"))),
    "1e400": output([1, CLASSES, 2, 2], planes()).replace(b"0.5", b"1e400", 1),
    "10^400": output([1, CLASSES, 2, 2], planes(10**400)),
    "10^5000": output([1, CLASSES, 2, 2], planes()).replace(b"0.5", b"1" * 5000, 1),
    "a double too large": output([1, CLASSES, 2, 2], planes(1e300), "FP64"),
    "text": output([1, CLASSES, 2, 2], planes("a")),
    "null": output([1, CLASSES, 2, 2], planes(None)),
    "ragged": output([1, CLASSES, 2, 2], planes([1, 2])),
    "too few": output([1, CLASSES, 2, 2], planes()[1:]),
    "a class more": output([1, CLASSES + 1, 2, 2], [0.5] * 4 * (CLASSES + 1)),
    "a class less": output([1, CLASSES - 1, 2, 2], [0.5] * 4 * (CLASSES - 1)),
    "classes last": output([1, 2, 2, CLASSES], planes()),
    "two photos": output([2, CLASSES, 2, 2], planes() * 2),
    "five axes": output([1, 1, CLASSES, 2, 2], planes()),
    "two axes": output([CLASSES, 4], planes()),
    "no axes": output([], [0.5]),
    "empty": output([1, CLASSES, 0, 2], []),
    "no pixels": output([1, 0, 2, 2], []),
    "a free axis": output([1, CLASSES, -1, 2], planes()),
    "an axis of 10^30": output([1, CLASSES, 10**30, 2], planes()),
    "an axis of text": output([1, CLASSES, "a", 2], planes()),
    "a shape of text": output("shape", planes()),
    "no shape": output(None, planes()),
    "no type": output([1, CLASSES, 2, 2], planes(), "INT4"),
    "deep": DEEP,
    "deep data": output([1, CLASSES, 2, 2], 0).replace(b": 0}", b": " + DEEP),
    "outputs of text": b'{"outputs": "a"}',
    "a number": b"7",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
def test_a_wrong_answer_is_waited_out(answer: bytes, remote: RemoteModel, server: V2Server) -> None:
    """With the model's and the server's name; as soon as it tells the truth, it goes on."""
    server.infers = answer
    with pytest.raises(EngineUnavailable, match="model 'trivial' at http"):
        remote.run(TENSOR, Deadline(30))
    server.infers = None
    remote.run(TENSOR, Deadline(30))


METADATA = {
    "deep": DEEP,
    "a number": b"7",
    "inputs of a number": b'{"inputs": 7}',
    "inputs of text": b'{"inputs": ["a"]}',
    "a shape of text": b'{"inputs": [{"name": "a", "datatype": "FP32", "shape": ["a"]}]}',
    "a shape of 1e400": b'{"inputs": [{"name": "a", "datatype": "FP32", "shape": [1e400]}]}',
    "a shape of NaN": b'{"inputs": [{"name": "a", "datatype": "FP32", "shape": [NaN]}]}',
    "no shape": b'{"inputs": [{"name": "a", "datatype": "FP32"}]}',
    "no name": b'{"inputs": [{"datatype": "FP32", "shape": [1]}]}',
    "a type of a list": b'{"inputs": [{"name": "a", "datatype": [], "shape": [1]}]}',
    "extensions": b'{"inputs": [{"name": "photo", "datatype": "FP32", "shape": [1, 3, 16, 16]}],'
    b' "outputs": [], "extensions": 7}',
}  # fmt: skip


@pytest.mark.parametrize("told", METADATA.values(), ids=METADATA.keys())
def test_wrong_metadata_is_waited_out(told: bytes, remote: RemoteModel, server: V2Server) -> None:
    """The server's, too, which is asked for in the same way."""
    server.told = told
    with pytest.raises((EngineUnavailable, ModelError), match="model 'trivial' at http"):
        remote.check()
    with pytest.raises(EngineUnavailable, match="model 'trivial' at http"):
        remote.run(TENSOR, Deadline(30))
    server.told = None
    remote.run(TENSOR, Deadline(30))


def test_an_error_may_be_anything() -> None:
    """It is shown, and cut."""
    for body in (DEEP, b"7", b'{"error": {"a": 1}}', b"\xff" * 1000, b""):
        assert len(read_error(body)) <= 300
    with pytest.raises(ValueError, match="isn't the protocol's"):
        read_tensor_specs([{"name": "a", "datatype": "FP32", "shape": [float("inf")]}])


def test_a_server_that_drips_keeps_no_start(catalog: Catalog) -> None:
    """A byte now and then, in the head or in the body: the check ends with its own time."""

    def drip(line: socket.socket, server: RawServer) -> None:
        with suppress(ConnectionResetError):
            read_request(line)
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b" " * 100_000:
            if server.closed.wait(0.01):
                return
            line.sendall(bytes([byte]))

    with RawServer(drip) as server:
        url = f"{server.origin}/v2/models/trivial"
        remote = RemoteModel(described(catalog.model("trivial").manifest, url))
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match="no answer"):
            remote.run(TENSOR, Deadline(1))
        assert time.monotonic() - began < 10
        remote.close()


def test_a_second_answer_is_no_other_photos(remote: RemoteModel, server: V2Server) -> None:
    """Masks of one photo never come from the answer to another's."""
    truth = remote.run(TENSOR, Deadline(30))
    body = output([1, CLASSES, 2, 2], planes())

    def twice(line: socket.socket, raw: RawServer) -> None:
        while True:
            head = read_head(line)
            left = int((head.lower().partition(b"content-length:")[2].split() or [b"0"])[0])
            while left > 0:
                left -= len(line.recv(left))
            told = server.metadata() if b"/v2/models" in head else {}
            good = http(json.dumps(told).encode())
            if b"/infer" in head:
                good = http(output(list(truth.shape), truth.ravel().tolist())) + http(body)
            line.sendall(good)

    with RawServer(twice) as raw:
        model = RemoteModel(described(server.engine.manifest, f"{raw.origin}/v2/models/trivial"))
        for _ in range(3):
            np.testing.assert_array_equal(truth, model.run(TENSOR, Deadline(30)))
        model.close()


def http(body: bytes) -> bytes:
    """A good answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
