"""Two JSON readers: a strict one, whose objects can be written again, and a lenient one."""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from schemas.errors import InvalidMessage

MAX_NESTING = 64
"""Deepest nesting of objects and lists. JSON writers have such a limit, so this reader has one."""
MAX_PARTS = 250_000
"""Most commas, objects and lists. An empty list has three bytes in a message and 60 in memory."""

# Possessive, and an unclosed string ends with the text: the time is linear for any text.
_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def json_object(noun: str, value: bytes) -> dict[str, Any]:
    """Parse a JSON object. Refuse NaN, repeated fields, lone surrogates and deep nesting.

    Args:
        noun: Name of the message, for the error's text.
        value: Any bytes.

    Raises:
        InvalidMessage: The bytes are not such an object. No other exception is raised.
    """
    containers = value.count(b"{") + value.count(b"[")
    if containers + value.count(b",") > MAX_PARTS:
        raise InvalidMessage(f"{noun}: more than {MAX_PARTS} commas, objects and lists")
    try:
        parsed = json.loads(
            value.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_not_a_number,
        )
        if b"\\u" in value:
            # An escape may be a lone surrogate, which can't be written to a status event as UTF-8.
            json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidMessage(f"{noun}: not UTF-8: {error}") from None
    except RecursionError:
        raise InvalidMessage(f"{noun}: nested deeper than {MAX_NESTING} levels") from None
    except ValueError as error:
        raise InvalidMessage(f"{noun}: not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidMessage(f"{noun}: not a JSON object but {type(parsed).__name__}")
    if containers > MAX_NESTING and _deeper(parsed, MAX_NESTING):
        raise InvalidMessage(f"{noun}: nested deeper than {MAX_NESTING} levels")
    return parsed


def lenient_json_object(noun: str, value: bytes) -> dict[str, Any]:
    """Parse a JSON object in which only a few fields matter: no other field may refuse it.

    Numbers are returned as text, whatever is nested deeper than `MAX_NESTING` as null. The last of
    repeated fields counts. Text may contain lone surrogates.

    Raises:
        InvalidMessage: The bytes are not a JSON object. No other exception is raised.
    """
    text = value.decode("utf-8-sig", errors="surrogateescape")
    try:
        parsed = json.loads(
            _cut_deeper(text, MAX_NESTING), parse_float=str, parse_int=str, parse_constant=str
        )
    except ValueError as error:
        raise InvalidMessage(f"{noun}: not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidMessage(f"{noun}: not a JSON object but {type(parsed).__name__}")
    return parsed


def _cut_deeper(text: str, levels: int) -> str:
    """Replace each object and list that is nested deeper than `levels` by null."""
    if text.count("{") + text.count("[") <= levels:
        return text
    kept, begin, depth = [], 0, 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == levels + 1:
                kept.append(text[begin : token.start()])
        elif token[0] in ("]", "}"):
            if depth == levels + 1:
                kept.append("null")
                begin = token.end()
            depth -= 1
    # A bracket that is still open at the end makes the parser refuse the text.
    return "".join((*kept, text[begin:] if depth <= levels else ""))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with a repeated field, because JSON readers disagree on which one counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the field {twice[:64]!r} appears twice in one object")
    return fields


def _finite(digits: str) -> float:
    """Refuse a number too large for a double: it would be written as `Infinity`, not as JSON."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:64]} is out of range")
    return number


def _not_a_number(name: str) -> NoReturn:
    """Refuse the constants that Python reads although JSON doesn't have them."""
    raise ValueError(f"{name} is not a JSON value")


def _deeper(value: object, levels: int) -> bool:
    """Return whether objects and lists nest deeper than `levels`. Doesn't use recursion."""
    level: list[object] = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list) for inner in level)
