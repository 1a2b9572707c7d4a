"""The Open Inference Protocol v2: questions and answers as bytes, no transport.

Sources: the protocol's "HTTP/REST" page (kserve/open-inference-protocol, `specification/protocol/
inference_rest.md`) and Triton's "binary tensor data extension" (triton-inference-server/server,
`docs/protocol/extension_binary_data.md`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segmentation.model.engine import Tensor
from segmentation.model.tensor_spec import TensorSpec

BINARY_EXTENSION = "binary_tensor_data"
HEADER_LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"FP32": "float", "FP16": "float16", "FP64": "double", "UINT8": "uint8"}
"""ONNX's element type by the protocol's; others have other names here and aren't fed."""

_NUMPY = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "UINT8": "u1", "INT8": "i1", "INT32": "<i4"}
_BY_TYPE = {element: datatype for datatype, element in DATATYPES.items()}
_NUMBERS = 8192  # of one piece of JSON: the encoder keeps Python's lock for as long as a piece


def read_ports(tensors: Any) -> list[TensorSpec]:
    """The inputs or outputs of a model's metadata; none where the server tells none.

    Raises:
        ValueError: It isn't what the protocol says.
    """
    try:
        return [_port(tensor) for tensor in tensors or []]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its metadata isn't the protocol's: {error!r}") from error


def write_request(
    tensor: Tensor, *, feed: TensorSpec, fetch: str | None, binary: bool
) -> tuple[dict[str, str], bytes]:
    """The headers and the body that ask for the output `fetch` (None: all) of `tensor`."""
    datatype = _BY_TYPE[feed.type]
    data = np.ascontiguousarray(tensor, _NUMPY[datatype])
    said: dict[str, Any] = {"name": feed.name, "datatype": datatype, "shape": list(data.shape)}
    asked: dict[str, Any] = {"outputs": [{"name": fetch}]} if fetch else {}
    if not binary:
        head = json.dumps({**asked, "inputs": [{**said, "data": []}]}).encode()
        body = head.removesuffix(b"]}]}") + _numbers(data) + b"]}]}"
        return {"Content-Type": "application/json"}, body
    said["parameters"] = {"binary_data_size": data.nbytes}
    asked["parameters"] = {"binary_data_output": True}
    for output in asked.get("outputs", ()):
        output["parameters"] = {"binary_data": True}
    head = json.dumps({**asked, "inputs": [said]}).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return headers, head + data.tobytes()


def read_response(
    headers: Mapping[str, str], body: bytes, *, fetch: str | None, index: int
) -> Tensor:
    """The output named `fetch`, or the one at `index` where that is None, as float32.

    Args:
        headers: Of the answer, by lower-case name; they say whether tensors are bytes.
        body: The whole answer.
        fetch: The output's name.
        index: The output's place, counted from 0.

    Raises:
        ValueError: The answer isn't the protocol's, or lacks the output.
    """
    try:
        length = int(headers.get(HEADER_LENGTH.lower(), len(body)))
        outputs = json.loads(body[:length])["outputs"]
        names = [output["name"] for output in outputs]
        place = names.index(fetch) if fetch else index
        return _tensor(outputs, place, memoryview(body)[length:])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"its answer isn't the protocol's: {error!r}") from error


def read_error(body: bytes) -> str:
    """The server's own words about what went wrong, at most 300 characters."""
    try:
        said = json.loads(body)
        words = said.get("error") or said.get("detail") if isinstance(said, dict) else None
    except ValueError:
        words = None
    return str(words or body.decode(errors="replace"))[:300]


def _port(tensor: Mapping[str, Any]) -> TensorSpec:
    shape = tuple("?" if length < 0 else int(length) for length in tensor["shape"])
    datatype = tensor["datatype"]
    return TensorSpec(str(tensor["name"]), DATATYPES.get(datatype, str(datatype)), shape)


def _numbers(data: np.ndarray) -> bytes:
    flat = data.ravel()
    pieces = (flat[at : at + _NUMBERS].tolist() for at in range(0, flat.size, _NUMBERS))
    return b",".join(json.dumps(piece).encode()[1:-1] for piece in pieces)


def _tensor(outputs: Sequence[Mapping[str, Any]], place: int, blobs: memoryview) -> Tensor:
    # KServe writes null where the protocol lets a field be absent.
    sizes = [(output.get("parameters") or {}).get("binary_data_size") or 0 for output in outputs]
    output, start = outputs[place], sum(sizes[:place])
    kind = np.dtype(_NUMPY[output["datatype"]])
    if (data := output.get("data")) is not None:
        flat = np.asarray(data, kind).ravel()
    else:
        flat = np.frombuffer(blobs[start : start + sizes[place]], kind)
    return flat.reshape(output["shape"]).astype(np.float32)
