"""`make audit` tells a hole from none, and both from not having looked."""

import json
import sys

import pytest

from tests.supply.audit import CANT_LOOK, NONE, SOME, audit
from tests.supply.locked import locked_versions

HOLE = {"id": "GHSA-1", "fix_versions": ["2.0"]}


def answering(dependencies: list[dict[str, object]]) -> list[str]:
    """Make a program that answers as pip-audit does."""
    return [
        sys.executable,
        "-c",
        f"print({json.dumps(json.dumps({'dependencies': dependencies}))})",
    ]


@pytest.mark.parametrize(
    ("dependencies", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], NONE, "No hole is known in the 1 packages"),
        ([{"name": "a", "version": "1", "vulns": [HOLE]}], SOME, "a 1: GHSA-1, mended in 2.0"),
        ([{"name": "a", "skip_reason": "a: no"}], CANT_LOOK, "Can't look at 1 of 1 packages"),
    ],
)
def test_what_the_advisories_say_is_said(
    dependencies: list[dict[str, object]], code: int, words: str
) -> None:
    assert (code, True) == ((found := audit(answering(dependencies)))[0], words in found[1])


def test_that_nobody_can_look_is_said() -> None:
    """An answer that doesn't come is no good news."""
    program = "import sys; print('ConnectionError: no route', file=sys.stderr); sys.exit(1)"
    code, words = audit([sys.executable, "-c", program])
    assert CANT_LOOK == code
    assert "Can't look: the advisories can't be read (ConnectionError: no route)" in words
    assert f"{len(locked_versions())} packages" in words
