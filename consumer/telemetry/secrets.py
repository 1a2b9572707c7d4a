"""Hides our secrets in texts of others: errors, answers, lines of the log.

Whoever echoes a secret may escape it first (as JSON, Python, URLs or HTML do, also twice), or cut
it. So a text is read at several depths of escaping, and long parts of a secret count.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

HIDDEN = "***"
SHORT = 8
"""A secret of fewer characters is hidden only where it stands alone: it may be part of a word."""

_DEPTHS = 3
_LEAST_BESIDE_A_CUT = 4
_CUT = re.compile(r"\.\.\.|\u2026|\Z")
_LONGEST_SPELLING = 12  # characters for one, as in \\ud83d\\ude00
_Span = tuple[int, int]

_SPACE = re.compile(r"\s+|\+")
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
    r"|\\U[0-9a-fA-F]{8}|(?:\\x[0-9a-fA-F]{2})+|\\[0-7]{3}|\\."
    r"|(?:%[0-9a-fA-F]{2})+|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});",
    re.DOTALL,
)
_LETTERS = {"n": " ", "r": " ", "t": " ", "f": " ", "b": "\b", "a": "\a", "v": " "}
"""What a letter behind a backslash stands for; any other character stands for itself."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as it can be read, and where in the original each of its characters stands."""

    text: str
    origins: tuple[_Span, ...]


class Secrets:
    """Values that must never be shown."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values: set[str] = set()
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Hide these as well from now on."""
        secrets = self._values | {value for value in values if value.strip()}
        self._values = secrets
        self._longest = max(map(len, secrets), default=0)
        self._long = _forms(value for value in secrets if len(value) >= SHORT)
        self._short = _forms(value for value in secrets if len(value) < SHORT)

    def hide(self, text: str) -> str:
        """Give the text with `***` for each secret, and for each part of two thirds of one.

        A part has `SHORT` characters or more; where the text ends, or says that it is cut, fewer.
        """
        for begin, end in _merged(self._spans(text)):
            text = text[:begin] + HIDDEN + text[end:]
        return text

    def hide_and_cut(self, text: str, most: int) -> str:
        """Give the beginning of a text without secrets, `most` characters of it."""
        return self.hide(text[: most + _LONGEST_SPELLING * self._longest])[:most]

    def hide_all(self, value: object) -> object:
        """Give numbers, texts, lists and mappings as they are but for secrets; all else as text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.hide(str(key)): self.hide_all(part) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.hide_all(part) for part in value]
        return self.hide(value if isinstance(value, str) else repr(value))

    def _spans(self, text: str) -> Iterator[_Span]:
        """Give where the text has secrets, as it is and at each depth of escaping."""
        escaped = _ESCAPE.search(text) is not None
        if not escaped and next(self._found(_spaced(text)), None) is None:
            return  # as nearly every text: this way costs little
        reading = _replaced(_as_it_is(text), _SPACE)
        for depth in range(_DEPTHS + 1):
            if depth:
                reading = _resolved(reading)
            for begin, end in self._found(reading.text):
                yield reading.origins[begin][0], reading.origins[end - 1][1]

    def _found(self, text: str) -> Iterator[_Span]:
        for secret in self._long:
            yield from _parts(secret, text)
            yield from _beside_cuts(secret, text)
        for secret in self._short:
            for begin in _places(secret, text):
                end = begin + len(secret)
                if not _is_word(text[:begin][-1:]) and not _is_word(text[end : end + 1]):
                    yield begin, end


def _parts(secret: str, text: str) -> Iterator[_Span]:
    """Give where a text has at least two thirds of the secret.

    Whichever they are, one of the secret's thirds lies in them whole. A half may be a word that the
    text has of itself.
    """
    least = min(len(secret), max(SHORT, len(secret) * 2 // 3))
    third = least // 2
    for at in range(0, len(secret) - third + 1, third):
        block = secret[at : at + third]
        place = text.find(block)
        while place >= 0:
            before = _common(secret[:at][::-1], text[max(0, place - at) : place][::-1])
            behind = _common(secret[at:], text[place : place + len(secret) - at])
            if before + behind >= least:
                yield place - before, place + behind
            place = text.find(block, place + behind)


def _beside_cuts(secret: str, text: str) -> Iterator[_Span]:
    """Give where a text ends or says that it is cut, with the secret's begin before it.

    Or with its end behind it.
    """
    for cut in _CUT.finditer(text):
        least = _LEAST_BESIDE_A_CUT if cut.group() else max(SHORT, (len(secret) + 1) // 2)
        for length in range(len(secret) - 1, least - 1, -1):
            if text.endswith(secret[:length], 0, cut.start()):
                yield cut.start() - length, cut.start()
            if cut.group() and text.startswith(secret[-length:], cut.end()):
                yield cut.end(), cut.end() + length


def _places(part: str, text: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)


def _common(one: str, other: str) -> int:
    """Count how many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _spaced(text: str) -> str:
    """Give the text with one space for white space and for plus, as forms have it."""
    return _SPACE.sub(" ", text)


def _as_it_is(text: str) -> _Reading:
    return _Reading(text, tuple((at, at + 1) for at in range(len(text))))


def _resolved(reading: _Reading) -> _Reading:
    """Read the text once more, its escapes resolved."""
    return _replaced(_replaced(reading, _ESCAPE), _SPACE)


def _forms(secrets: Iterable[str]) -> list[str]:
    """Give the secrets, and what becomes of them where a text is read more than once."""
    plain = [_as_it_is(_spaced(secret)) for secret in secrets]
    read = (_resolved(one).text for one in plain)
    return sorted({*(one.text for one in plain), *(text for text in read if len(text) >= SHORT)})


def _replaced(reading: _Reading, pattern: re.Pattern[str]) -> _Reading:
    """Read the text once more, with what each match of the pattern stands for."""
    pieces: list[str] = []
    origins: list[_Span] = []
    at = 0
    for match in pattern.finditer(reading.text):
        begin, end = match.span()
        meant = _meant(match.group())
        pieces += reading.text[at:begin], meant
        origins += reading.origins[at:begin]
        origins += [(reading.origins[begin][0], reading.origins[end - 1][1])] * len(meant)
        at = end
    pieces.append(reading.text[at:])
    origins += reading.origins[at:]
    return _Reading("".join(pieces), tuple(origins))


def _meant(escape: str) -> str:
    """Give what an escape stands for."""
    if escape.startswith("%"):
        return unquote(escape, errors="replace")
    if escape.startswith("&"):
        return html.unescape(escape)
    if not escape.startswith("\\"):
        return " "
    kind, digits = escape[1], escape[2:]
    if kind in "uU" and digits:
        first, *second = (int(unit, 16) for unit in digits.split("\\u"))
        if second:
            return chr(0x10000 + ((first & 0x3FF) << 10 | second[0] & 0x3FF))
        return chr(min(first, 0x10FFFF))
    if kind == "x" and digits:
        units = bytes(int(unit, 16) for unit in escape.split("\\x")[1:])
        try:
            return units.decode()
        except UnicodeDecodeError:
            return units.decode("latin-1")
    return chr(int(escape[1:], 8)) if digits else _LETTERS.get(kind, kind)


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Give the spans without overlaps, the last first."""
    merged: list[_Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged[::-1]
