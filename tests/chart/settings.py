"""Every setting of the product, from the code, with its sentence of docs/operating.md."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import consumer.settings  # noqa: F401  # it defines every group
from consumer.settings.group import SettingsGroup

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
_KEPT = ("type", "minimum", "maximum", "exclusiveMinimum", "enum", "const", "pattern", "maxLength")
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, by the name of its environment variable."""

    name: str
    secret: bool
    sentence: str
    rule: dict[str, Any]
    """JSON Schema of its value in YAML."""


def settings() -> list[Setting]:
    """Give every setting, by name; `SECRETS_DIR` is read by no group."""
    meanings = dict(_meanings())
    folder = Setting("SECRETS_DIR", False, meanings["SECRETS_DIR"], {"type": "string"})
    found = {setting.name: setting for setting in _of_groups(SettingsGroup, meanings)}
    return sorted((*found.values(), folder), key=lambda setting: setting.name)


def _of_groups(group: type[SettingsGroup], meanings: dict[str, str]) -> Iterator[Setting]:
    for subclass in group.__subclasses__():
        if not subclass.__module__.startswith("tests."):
            schema = subclass.model_json_schema()
            for field, facts in subclass.model_fields.items():
                name = field.upper()
                secret = "SecretStr" in str(facts.annotation)
                rule = _rule(schema["properties"][field])
                yield Setting(name, secret, meanings[name], rule)
        yield from _of_groups(subclass, meanings)


def _rule(schema: dict[str, Any]) -> dict[str, Any]:
    """Say what a value in YAML may be; a number may be text, as `--set-string` gives it."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    kept = {key: value for key, value in choices[0].items() if key in _KEPT}
    if kept.get("type") in ("integer", "number"):
        return {"anyOf": [kept, {"type": "string", "pattern": _NUMBER}]}
    if kept.get("type") == "boolean":
        return {"enum": [True, False, "true", "false"]}
    if kept.get("type") != "string":  # a list, with commas
        return {"type": "string"}
    return kept


def _meanings() -> Iterator[tuple[str, str]]:
    """Read the table of settings; several that share a row share its sentence."""
    section = OPERATING.read_text().partition("## Settings\n")[2].partition("\n\n`maskline")[0]
    for row in section.splitlines():
        cells = [cell.strip(" |") for cell in row.split(" |")]
        for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cells[0]):
            yield name, _plain(cells[2]) or name.lower().replace("_", " ")


def _plain(markdown: str) -> str:
    """Take links and quotes away."""
    without_links = re.sub(r" ?\(\[[^]]*\]\([^)]*\)\)|\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    return without_links.replace("`", "").strip()
