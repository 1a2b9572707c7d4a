"""Finds the files in which an ONNX model keeps weights outside its own file.

The model's file is a protobuf `ModelProto`. A `TensorProto` in it, at any depth, may name another
file in its field 13, `external_data`: a list of keys (field 1) and values (field 2), one of them
`location`. Source: onnx/onnx, `onnx/onnx.proto`.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from segmentation.errors import ModelError
from segmentation.model.protobuf import Span, read_fields, whole

# For each message, which of its fields lead to tensors, and what these fields are.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
}
_EXTERNAL_DATA, _KEY, _VALUE = 13, 1, 2


def external_files(path: Path) -> list[Path]:
    """Return the files with weights of the model at `path`, sorted. Empty: it has no others.

    Raises:
        ModelError: A file isn't there, or isn't in the model's folder.
    """
    with path.open("rb") as file:
        try:
            locations = sorted(set(_locations(file, whole(file), "model")))
        except (ValueError, RecursionError):
            return []  # no ONNX file: ONNX Runtime will say so
    found = []
    for location in locations:
        parts = PurePosixPath(location)
        if parts.is_absolute() or ".." in parts.parts:
            raise ModelError(f"{path} has weights in {location!r}, which is not in its folder")
        if not (path.parent / parts).is_file():
            raise ModelError(f"{path} has weights in {location!r}, and there is no such file")
        found.append(path.parent / parts)
    return found


def _locations(file: BinaryIO, message: Span, kind: str) -> Iterator[str]:
    for number, content in read_fields(file, message):
        if not isinstance(content, Span):
            continue
        if kind == "tensor":
            if number == _EXTERNAL_DATA:
                yield from _location(file, content)
        elif inner := _FIELDS[kind].get(number):
            yield from _locations(file, content, inner)


def _location(file: BinaryIO, entry: Span) -> Iterator[str]:
    fields = {
        number: content.read(file).decode(errors="replace")
        for number, content in read_fields(file, entry)
        if isinstance(content, Span)
    }
    if fields.get(_KEY) == "location":
        yield fields.get(_VALUE, "")
