"""The names that other programs use are those of `public_names.json`, whatever moves in the code.

A change of a public name changes that file in the same commit:
`python -m tests.contract.test_public_names` writes it.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from consumer.settings.group import SettingsGroup
from consumer.telemetry.metrics import Metrics
from producer_tools.cli.app import app
from schemas import trace_context
from schemas.callback import AUTH_HEADER, FIELDS, IDEMPOTENCY_HEADER, CallbackReply
from schemas.control import Cancel
from schemas.job import OUTPUTS, Job
from schemas.status import ERROR_CODES, STATES, StatusEvent
from schemas.topics import topic_specs

ROOT = Path(__file__).parents[2]
NAMES = Path(__file__).with_name("public_names.json")
LOG_METHODS = ("debug", "info", "warning", "error")


def test_no_public_name_has_changed() -> None:
    """Settings, topics, messages, metrics, log events, commands and HTTP are as they were."""
    assert json.loads(NAMES.read_text()) == json.loads(json.dumps(public_names()))


def public_names() -> dict[str, Any]:
    """Collect the names from the code."""
    calls = [node for node in _nodes("consumer") if isinstance(node, ast.Call)]
    metrics = [metric for metric in vars(Metrics()).values() if hasattr(metric, "_labelnames")]
    return {
        "settings": dict(sorted(_settings(SettingsGroup))),
        "environment": sorted({name for call in calls for name in _environment(call)}),
        "topics": {spec.role: {"name": spec.name, **spec.config} for spec in topic_specs()},
        "messages": {
            message.__name__: list(message.model_fields)
            for message in (Job, StatusEvent, Cancel, CallbackReply)
        },
        "states": STATES,
        "error_codes": ERROR_CODES,
        "outputs": OUTPUTS,
        "callback": [AUTH_HEADER, IDEMPOTENCY_HEADER, trace_context.HEADER, *FIELDS],
        "metrics": {metric._name: [metric._type, *metric._labelnames] for metric in metrics},
        "log_events": sorted({name for call in calls for name in _log_event(call)}),
        "commands": dict(_commands(typer.main.get_command(app), "maskline")),
        "routes": sorted({name for call in calls for name in _route(call)}),
        "readyz": sorted(_keys_given_by("ready")),
        "stats": sorted(_keys_given_by("stats")),
    }


def _settings(group: type[SettingsGroup]) -> Iterator[tuple[str, str]]:
    """Give every setting of the consumer's, and its default."""
    for subclass in group.__subclasses__():
        if subclass.__module__.startswith("consumer."):
            for name, field in subclass.model_fields.items():
                default = "required" if field.is_required() else str(field.default)
                yield name.upper(), default
        yield from _settings(subclass)


def _environment(call: ast.Call) -> Iterator[str]:
    """Give a setting that is read without a group."""
    if ast.unparse(call.func) == "os.environ.get":
        yield ast.literal_eval(call.args[0])


def _nodes(package: str) -> Iterator[ast.AST]:
    for file in sorted((ROOT / package).rglob("*.py")):
        yield from ast.walk(ast.parse(file.read_text()))


def _log_event(call: ast.Call) -> Iterator[str]:
    """Give the event of `log.info("noun.verb_past", …)`."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in LOG_METHODS and call.args:
        event = call.args[0]
        if isinstance(event, ast.Constant) and re.fullmatch(r"[a-z_.]+", str(event.value)):
            yield str(event.value)


def _route(call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Name) and call.func.id == "Route":
        path = call.args[0]
        assert isinstance(path, ast.Constant)
        yield str(path.value)


def _keys_given_by(function: str) -> set[str]:
    """Give the keys of the dictionaries that the consumer's functions of that name return."""
    return {
        str(key.value)
        for node in _nodes("consumer")
        if isinstance(node, ast.FunctionDef) and node.name == function
        for returned in ast.walk(node)
        if isinstance(returned, ast.Dict)
        for key in returned.keys
        if isinstance(key, ast.Constant)
    }


def _commands(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    """Give each command with its arguments and options."""
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for part in command.list_commands(context):
            yield from _commands(command.get_command(context, part), f"{name} {part}")
    else:
        yield name, sorted("/".join(given.opts) for given in command.params)


if __name__ == "__main__":
    NAMES.write_text(json.dumps(public_names(), indent=1) + "\n")
