"""`values.schema.json`: what each value may be. A wrong one fails with its sentence.

Helm shows what JSON Schema expects and no description, so each value's sentence is also the
constant that a wrong value should have been.
"""

from typing import Any

from tests.chart.settings import Setting, settings
from tests.chart.values import Value, values

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNKNOWN = "no value of this chart has this name: helm show readme, or README.md, lists them"
UNKNOWN_SETTING = "no setting of Maskline that can stand here has this name: README.md lists them"
_KINDS = {
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "string": "text",
    "null": "null",
}


def schema() -> dict[str, Any]:
    """Make the schema of all values."""
    root = _map({"global": {}})  # Helm's own, given to every chart
    for value in values():
        place = root
        for key in value.path[:-1]:
            place = place["properties"].setdefault(key, _map({}))
        place["properties"][value.path[-1]] = _of(value)
    return {"$schema": DIALECT, **root}


def phrase(rule: dict[str, Any]) -> str:
    """Say in words what a rule allows."""
    if "anyOf" in rule:
        choices = [phrase(choice) for choice in rule["anyOf"]]
        number = len(choices) == 2 and choices[1] == "a number"
        return choices[0] if number else " or ".join(choices)
    if "enum" in rule or "const" in rule:
        return "one of " + ", ".join(f"{value}" for value in rule.get("enum", [rule.get("const")]))
    if rule.get("type") in ("integer", "number"):
        return _number(rule)
    if str(rule.get("pattern", "")).startswith("^-?[0-9]"):
        return "a number"
    return _KINDS.get(str(rule.get("type")), "anything")


def _number(rule: dict[str, Any]) -> str:
    kind = "a whole number" if rule["type"] == "integer" else "a number"
    low, high = rule.get("minimum"), rule.get("maximum")
    if "exclusiveMinimum" in rule:
        kind += f" above {rule['exclusiveMinimum']:g}"
    if low is not None and high is not None:
        return f"{kind}, {low:g} to {high:.15g}"
    if low is not None:
        return f"{kind}, at least {low:g}"
    return kind if high is None else f"{kind}, at most {high:.15g}"


def _of(value: Value) -> dict[str, Any]:
    if "settings" in value.rule:
        plain = [setting for setting in settings() if not setting.secret]
        others = {"^OTEL_[A-Z0-9_]+$": {"type": ["string", "number", "boolean"]}}
        return _map_of(value, {setting.name: setting for setting in plain}, others)
    if "secrets" in value.rule:
        secret = {setting.name.lower(): setting for setting in settings() if setting.secret}
        return _map_of(value, secret, {})
    return _sentenced(value.rule, value.sentence)


def _map_of(value: Value, named: dict[str, Setting], others: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": value.sentence,
        "type": "object",
        "properties": {
            name: _sentenced(setting.rule, setting.sentence) for name, setting in named.items()
        },
        "patternProperties": others,
        "additionalProperties": {"const": UNKNOWN_SETTING},
    }


def _sentenced(rule: dict[str, Any], sentence: str) -> dict[str, Any]:
    return {
        "description": sentence,
        "if": rule,
        "else": {"const": f"{phrase(rule)}: {sentence}"},
    }


def _map(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": {"const": UNKNOWN},
    }
