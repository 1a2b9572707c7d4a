"""Encodes requests and decodes responses of the Open Inference Protocol v2. Sends nothing.

Sources: the protocol's "HTTP/REST" page (kserve/open-inference-protocol, `specification/protocol/
inference_rest.md`) and Triton's "binary tensor data extension" (triton-inference-server/server,
`docs/protocol/extension_binary_data.md`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from segmentation.model.engine import Tensor
from segmentation.model.tensor_spec import TensorSpec

BINARY_EXTENSION = "binary_tensor_data"
HEADER_LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"FP32": "float", "FP16": "float16", "FP64": "double", "UINT8": "uint8"}
"""ONNX's element type by the protocol's datatype, for the types that an input may have."""

_NUMPY = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "UINT8": "u1", "INT8": "i1", "INT32": "<i4"}
_BY_TYPE = {element: datatype for datatype, element in DATATYPES.items()}
_NUMBERS = 8192  # in one piece of JSON: the encoder holds Python's lock for the whole piece


def read_tensor_specs(tensors: Any) -> list[TensorSpec]:
    """Return the inputs or outputs in a model's metadata. Empty if the server declares none.

    Raises:
        ValueError: The metadata doesn't follow the protocol.
    """
    with reading("metadata"):
        return [_tensor_spec(tensor) for tensor in tensors or []]


def write_request(
    tensor: Tensor, *, feed: TensorSpec, fetch: str | None, binary: bool
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request for the output `fetch` (None: all outputs)."""
    datatype = _BY_TYPE[feed.type]
    data = np.ascontiguousarray(tensor, _NUMPY[datatype])
    sent: dict[str, Any] = {"name": feed.name, "datatype": datatype, "shape": list(data.shape)}
    request: dict[str, Any] = {"outputs": [{"name": fetch}]} if fetch else {}
    if not binary:
        head = json.dumps({**request, "inputs": [{**sent, "data": []}]}).encode()
        body = head.removesuffix(b"]}]}") + _numbers(data) + b"]}]}"
        return {"Content-Type": "application/json"}, body
    sent["parameters"] = {"binary_data_size": data.nbytes}
    request["parameters"] = {"binary_data_output": True}
    for output in request.get("outputs", ()):
        output["parameters"] = {"binary_data": True}
    head = json.dumps({**request, "inputs": [sent]}).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return headers, head + data.tobytes()


def read_response(
    headers: Mapping[str, str], body: bytes, *, fetch: str | None, index: int
) -> Tensor:
    """Return the output named `fetch`, or if that is None the one at `index`, as float32.

    Args:
        headers: The response's headers by lower-case name. They show whether tensors are bytes.
        body: The response's body.
        fetch: The output's name.
        index: The output's index, counted from 0.

    Raises:
        ValueError: The response doesn't follow the protocol, or lacks the output.
    """
    with reading("answer"):
        length = int(headers.get(HEADER_LENGTH.lower(), len(body)))
        outputs = json.loads(body[:length])["outputs"]
        names = [output["name"] for output in outputs]
        place = names.index(fetch) if fetch else index
        return _tensor(outputs, place, memoryview(body)[length:])


def read_error(body: bytes) -> str:
    """Return the server's error message, at most 300 characters long."""
    try:
        parsed = json.loads(body)
        is_object = isinstance(parsed, dict)
        message = parsed.get("error") or parsed.get("detail") if is_object else None
    except (ValueError, RecursionError):
        message = None
    return str(message or body.decode(errors="replace"))[:300]


@contextmanager
def reading(noun: str) -> Iterator[None]:
    """Raise `ValueError` if what the block reads doesn't follow the protocol, whatever it is."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"its {noun} isn't the protocol's: {error!r:.200}") from error
    except RecursionError as error:
        raise ValueError(f"its {noun} isn't the protocol's: it is nested too deeply") from error


def _tensor_spec(tensor: Mapping[str, Any]) -> TensorSpec:
    shape = tuple("?" if length < 0 else int(length) for length in tensor["shape"])
    datatype = tensor["datatype"]
    return TensorSpec(str(tensor["name"]), DATATYPES.get(datatype, str(datatype)), shape)


def _numbers(data: np.ndarray) -> bytes:
    flat = data.ravel()
    pieces = (flat[at : at + _NUMBERS].tolist() for at in range(0, flat.size, _NUMBERS))
    return b",".join(json.dumps(piece).encode()[1:-1] for piece in pieces)


def _tensor(outputs: Sequence[Mapping[str, Any]], place: int, blobs: memoryview) -> Tensor:
    # KServe writes null for absent fields.
    sizes = [(output.get("parameters") or {}).get("binary_data_size") or 0 for output in outputs]
    output, start = outputs[place], sum(sizes[:place])
    kind = np.dtype(_NUMPY[output["datatype"]])
    if (data := output.get("data")) is not None:
        flat = np.asarray(data, kind).ravel()
    else:
        flat = np.frombuffer(blobs[start : start + sizes[place]], kind)
    shape = [int(length) for length in output["shape"]]
    if any(length < 0 for length in shape):
        raise ValueError(f"the shape {shape}")  # NumPy would calculate the negative one
    with np.errstate(over="ignore"):  # a float64 may become infinite, which the caller refuses
        return flat.reshape(shape).astype(np.float32)
