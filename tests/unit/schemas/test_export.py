"""The contract's files: true, standing alone, and up to date."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.asyncapi import asyncapi
from schemas.export import GENERATED, PAGE, export, export_page
from schemas.json_schema import MESSAGES, DescribedMessage, message_schema
from schemas.topics import topic_specs

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
PREFIXES = {"job": "job", "status_event": "status", "cancel": "cancel", "callback_reply": "call"}
TOLERATED = {"job_old", "status_newer", "status_older"}
"""Golden messages that are read, but that should not be written any more."""


def test_generated_files_are_fresh(tmp_path: Path) -> None:
    """When this fails: python -m schemas.export, and commit."""
    fresh = {path.name: path.read_bytes() for path in export(tmp_path)}
    assert fresh == {path.name: path.read_bytes() for path in GENERATED.iterdir()}


def test_page_is_fresh(tmp_path: Path) -> None:
    """When this fails: python -m schemas.export, and commit."""
    assert export_page(tmp_path / "docs" / "messages.md").read_bytes() == PAGE.read_bytes()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_schema_is_one_of_2020_12_and_its_examples_hold(message: DescribedMessage) -> None:
    """A schema stands alone, under its own name."""
    schema = message_schema(message)
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in message.examples:
        jsonschema.Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        pytest.param(message, path, id=path.stem)
        for message in MESSAGES
        if message.name in PREFIXES
        for path in sorted(GOLDEN.glob(f"{PREFIXES[message.name]}*.json"))
    ],
)
def test_schemas_accept_the_golden_messages(message: DescribedMessage, path: Path) -> None:
    """All but those of other times, which the reader forgives and the schema doesn't."""
    validator = jsonschema.Draft202012Validator(message_schema(message))
    assert (path.stem not in TOLERATED) == validator.is_valid(json.loads(path.read_bytes()))


def test_schemas_leave_room_for_fields_to_come() -> None:
    """No schema forbids what a later version may add."""
    texts = [json.dumps(message_schema(message)) for message in MESSAGES]
    assert [text for text in texts if '"additionalProperties": false' in text] == []


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Walk over all objects of a document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def resolve(document: dict[str, Any], pointer: str) -> Any:
    """Follow a JSON pointer, and fail where it leads nowhere."""
    place: Any = document
    for step in pointer.removeprefix("#/").split("/"):
        place = place[step]
    return place


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """The document stands alone."""
    document = asyncapi()
    pointers = [node["$ref"] for node in nodes(document) if "$ref" in node]
    assert pointers
    for pointer in pointers:
        assert pointer.startswith("#/")
        assert resolve(document, pointer) is not None


def test_asyncapi_operations_speak_of_their_channels_messages() -> None:
    """The rules of AsyncAPI 3.0 that its JSON Schema can't hold."""
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        spoken = [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
        for reference in spoken:
            assert reference["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_asyncapi_has_the_four_topics() -> None:
    """Addresses and settings are those that `topics create` makes."""
    kafka = [
        channel["bindings"]["kafka"]
        for channel in asyncapi()["channels"].values()
        if "bindings" in channel
    ]
    expected = [(spec.name, spec.partitions, spec.retention_ms) for spec in topic_specs()]
    assert expected == [
        (topic["topic"], topic["partitions"], topic["topicConfiguration"]["retention.ms"])
        for topic in kafka
    ]


def test_asyncapi_schemas_are_those_of_the_messages() -> None:
    """Its schemas keep to what JSON Schema draft 7, AsyncAPI's own dialect, knows too."""
    for schema in asyncapi()["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)
        assert [node for node in nodes(schema) if "$defs" in node or "prefixItems" in node] == []
