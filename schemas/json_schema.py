"""JSON Schema 2020-12 of every message, for producers and subscribers in any language."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from schemas import examples
from schemas.callback import CallbackReply
from schemas.control import Cancel
from schemas.dead_letter import DeadLetter
from schemas.job import Job
from schemas.message import Part
from schemas.status import StatusEvent

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A message, the direction that its schema takes, and what it looks like.

    A message that others write is described as we read it (`validation`), one that we write as
    we write it (`serialization`): there every field is present.
    """

    name: str
    model: type[Part]
    mode: JsonSchemaMode
    examples: tuple[Schema, ...]


MESSAGES: Final = (
    Described("job", Job, "validation", (examples.JOB, examples.SMALLEST_JOB)),
    Described(
        "status_event", StatusEvent, "serialization", (examples.COMPLETED, examples.UNREADABLE)
    ),
    Described("dead_letter_headers", DeadLetter, "serialization", (examples.DEAD_LETTER,)),
    Described("cancel", Cancel, "validation", (examples.CANCEL,)),
    Described("callback_reply", CallbackReply, "validation", (examples.CALLBACK_REPLY,)),
)


class _Plain(GenerateJsonSchema):
    """JSON Schema without a title for each field: the field's name says as much."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Set none."""
        return False


def message_schema(message: Described) -> Schema:
    """Describe one message in a document that stands alone."""
    schema = message.model.model_json_schema(schema_generator=_Plain, mode=message.mode)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:maskline:schema:{message.name}:v1",
        "title": schema.pop("title"),
        "description": schema.pop("description"),
        "examples": list(message.examples),
        **_on_one_line(schema),
    }


def shared_schemas(ref_template: str) -> dict[str, Schema]:
    """Describe all messages and their parts by name, in one table that they refer to."""
    _, schemas = models_json_schema(
        [(message.model, message.mode) for message in MESSAGES],
        schema_generator=_Plain,
        ref_template=ref_template,
    )
    described: dict[str, Schema] = _on_one_line(schemas["$defs"])
    for message in MESSAGES:
        described[message.model.__name__]["examples"] = list(message.examples)
    return described


def _on_one_line(schema: Any) -> Any:
    """Join descriptions that the source breaks over lines."""
    if isinstance(schema, list):
        return [_on_one_line(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: " ".join(inner.split())
        if name == "description" and isinstance(inner, str)
        else _on_one_line(inner)
        for name, inner in schema.items()
    }
