"""Reads the operator sets of an ONNX file without loading the model.

ONNX Runtime doesn't report them, and the onnx package isn't installed with the service. The file is
a protobuf `ModelProto`. Its field 8 is `opset_import`, with a domain (field 1) and a version
(field 2).
"""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

_OPSETS, _DOMAIN, _VERSION = 8, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
_DEFAULT_DOMAIN = "ai.onnx"  # what an empty domain means


def read_opsets(path: Path) -> dict[str, int]:
    """Return the version of each domain, such as {"ai.onnx": 17}. Empty if it isn't ONNX."""
    try:
        with path.open("rb") as file:
            return dict(_opset(part) for part in _fields(file, _OPSETS))
    except (OSError, ValueError):
        return {}


def _fields(file: BinaryIO, wanted: int) -> list[bytes]:
    """Return the contents of every field with this number. Other fields are skipped unread."""
    found = []
    while (tag := _varint(file)) is not None:
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _varint(file)
        elif wire in (_FIXED64, _FIXED32):
            file.seek(8 if wire == _FIXED64 else 4, 1)
        elif wire == _BYTES:
            length = _varint(file) or 0
            if number == wanted:
                found.append(file.read(length))
            else:
                file.seek(length, 1)
        else:
            raise ValueError(f"wire type {wire}")
    return found


def _opset(content: bytes) -> tuple[str, int]:
    domain, version = _DEFAULT_DOMAIN, 0
    file = BytesIO(content)
    while (tag := _varint(file)) is not None:
        value = _varint(file) or 0
        if tag >> 3 == _DOMAIN:
            domain = file.read(value).decode(errors="replace") or _DEFAULT_DOMAIN
        elif tag >> 3 == _VERSION:
            version = value
    return domain, version


def _varint(file: BinaryIO) -> int | None:
    """Read one variable-length integer of protobuf. Return None at the end of the file."""
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    return None
