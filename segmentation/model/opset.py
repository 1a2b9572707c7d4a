"""Reads the operator sets of an ONNX file without loading the model.

ONNX Runtime doesn't report them, and the onnx package isn't installed with the service. The file is
a protobuf `ModelProto`. Its field 8 is `opset_import`, with a domain (field 1) and a version
(field 2).
"""

from pathlib import Path
from typing import BinaryIO

from segmentation.model.protobuf import Span, read_fields, whole

_OPSETS, _DOMAIN, _VERSION = 8, 1, 2
_DEFAULT_DOMAIN = "ai.onnx"  # what an empty domain means


def read_opsets(path: Path) -> dict[str, int]:
    """Return the version of each domain, such as {"ai.onnx": 17}. Empty if it isn't ONNX."""
    try:
        with path.open("rb") as file:
            return dict(
                _opset(file, content)
                for number, content in read_fields(file, whole(file))
                if number == _OPSETS and isinstance(content, Span)
            )
    except (OSError, ValueError):
        return {}


def _opset(file: BinaryIO, content: Span) -> tuple[str, int]:
    domain, version = _DEFAULT_DOMAIN, 0
    for number, value in read_fields(file, content):
        if number == _DOMAIN and isinstance(value, Span):
            domain = value.read(file).decode(errors="replace") or _DEFAULT_DOMAIN
        elif number == _VERSION and isinstance(value, int):
            version = value
    return domain, version
