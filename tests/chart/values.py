"""What `values.yaml` says of each value: its default, its sentence, and what else it may be."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "helm" / "maskline"
_KEY = re.compile(r"( *)([A-Za-z0-9]+):")
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the chart that has no values of ours inside it."""

    path: tuple[str, ...]
    default: Any
    sentence: str
    rule: dict[str, Any]
    """JSON Schema of what it may be."""

    @property
    def name(self) -> str:
        """The path as `--set` takes it."""
        return ".".join(self.path)


def values() -> Iterator[Value]:
    """Give every value with a comment above it; raise `ValueError` where one has no sentence."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    comment: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        key = _KEY.match(line)
        if line.lstrip().startswith("#"):
            comment.append(line.strip("# "))
        elif key is None:
            comment = []
        else:
            path[len(key[1]) // 2 :] = [key[2]]
            if comment:
                yield _value(tuple(path), defaults, comment)
            comment = []


def _value(path: tuple[str, ...], defaults: Any, comment: list[str]) -> Value:
    for key in path:
        defaults = defaults[key]
    words = [line for line in comment if not line.startswith("@schema ")]
    rules = [json.loads(line.removeprefix("@schema ")) for line in comment if line not in words]
    if not words:
        raise ValueError(f"{'.'.join(path)} has no sentence in values.yaml")
    rule = rules[0] if rules else {"type": _TYPES[type(defaults)]}
    return Value(path, defaults, " ".join(words), rule)
