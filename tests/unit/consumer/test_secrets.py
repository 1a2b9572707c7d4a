"""A secret that others echo is hidden, however they spell or cut it."""

import hashlib
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.telemetry.secrets import Secrets

SECRETS = (
    "s3cret-value",
    'pass"word\\1',
    "pa ss+wö&rd<>\U0001f600%41",
    "two  spaces\there",
    "C:\\new\\table\\u0041",
    "maskline-internal",
    "x" * 100,
    "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(24)),
)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "Python": repr,
    "Python's bytes": lambda text: repr(text.encode()),
    "a URL": lambda text: quote(text, safe=""),
    "a form": quote_plus,
    "HTML": html.escape,
    "a URL of JSON": lambda text: quote(json.dumps(text)),
    "numbers for HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "all in one line": lambda text: " ".join(text.split()),
}


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:8])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_hidden_in_every_spelling(secret: str, spelling: str) -> None:
    """No quarter of it is left, and what stands around it is."""
    spelt = SPELLINGS[spelling](secret)
    shown = Secrets([secret]).hide(f"A0 {spelt} 0Z")
    assert "***" in shown
    assert shown.startswith("A0 ")
    assert shown.endswith(" 0Z")
    quarter = len(spelt) // 4
    assert not any(spelt[at : at + quarter] in shown for at in range(0, 3 * quarter, quarter))


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:8])
def test_a_part_of_a_secret_is_hidden(secret: str) -> None:
    """The beginning, the end, and both with the middle left out, as pydantic shows long values."""
    most = max(8, len(secret) * 3 // 4)
    secrets = Secrets([secret])
    for part in (secret[:most], secret[-most:], secret[1:][:most]):
        assert secrets.hide(f"[{part}]") == "[***]"
    half = max(8, (len(secret) + 1) // 2)
    assert "***" in secrets.hide(f"{secret[:half]}...{secret[-half:]}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x", "***"),
        ("secret=x, sir", "secret=***, sir"),
        ('{"secret": "x"}', '{"secret": "***"}'),
        ('{\\"secret\\": \\"x\\"}', '{\\"secret\\": \\"***\\"}'),
        ("the xylophone of 0x17 taxis is in box_x and x_1", None),
        ("example", None),
    ],
)
def test_a_short_secret_is_hidden_where_it_stands_alone(text: str, shown: str | None) -> None:
    """Inside words it would make every text unreadable, and tell what it is."""
    assert Secrets(["x"]).hide(text) == (shown or text)


def test_short_is_fewer_than_eight() -> None:
    """Eight letters are hidden inside words, too."""
    assert Secrets(["secrets"]).hide("mysecretsare secrets") == "mysecretsare ***"
    assert Secrets(["secretst"]).hide("mysecretstare") == "my***are"


def test_beside_a_cut_a_few_characters_are_hidden() -> None:
    """They may be all that the cut has left of it."""
    hide = Secrets(["s3cret-value"]).hide
    assert hide("got 'padding s3cr...alue padding'") == "got 'padding ***...*** padding'"
    assert hide("got s3cret\u2026") == "got ***\u2026"
    assert hide("s3cr, and...value") == "s3cr, and...***"


def test_half_of_a_secret_is_shown_in_the_middle_of_a_text() -> None:
    """Else words that it happens to have would be hidden everywhere; at the end it may be cut."""
    said = "maskline resume, internal server error"
    hide = Secrets(["maskline-internal", "maskline-secret"]).hide
    assert hide(said) == said
    assert hide("said maskline") == "said ***"
    assert hide("said maskline-in") == "said ***"


def test_a_text_is_cut_after_its_secrets_are_hidden() -> None:
    """The cut would leave a part of one."""
    secrets = Secrets(["s3cret-value"])
    assert secrets.hide_and_cut("a" * 195 + "s3cret-value", 200) == "a" * 195 + "***"
    assert secrets.hide_and_cut("a" * 198 + json.dumps("s3cret-value"), 200) == "a" * 198 + '"*'
    assert secrets.hide_and_cut("b" * 10_000_000, 200) == "b" * 200


def test_nothing_else_is_hidden_in_values() -> None:
    """Numbers and structure stay; what is neither text nor number is shown as text."""
    value = {"a": [1, 2.5, None, True, "s3cret-value"], "s3cret-value": {"b": ("c",)}}
    assert Secrets(["s3cret-value"]).hide_all(value) == {
        "a": [1, 2.5, None, True, "***"],
        "***": {"b": ["c"]},
    }
    assert Secrets([]).hide_all(ValueError("x")) == "ValueError('x')"


@given(st.text(alphabet="ab\\u0041%25&quot;+ \"'\n", max_size=60), st.text("ab\\%+ &", max_size=20))
def test_any_text_and_any_secret_can_be_read(text: str, secret: str) -> None:
    """Nothing is raised, and what is left holds no secret that is long."""
    shown = Secrets([secret]).hide(text)
    assert len(secret) < 8 or not secret.strip() or secret not in shown
