"""JSON Schema 2020-12 of every message, for producers and subscribers in any language."""

from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from schemas import examples
from schemas.callback import CallbackReply
from schemas.control import Cancel, Resume
from schemas.dead_letter import DeadLetter
from schemas.job import Job
from schemas.message import MessagePart
from schemas.status import StatusEvent

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DescribedMessage:
    """A message of the contract, and how its schema is made.

    The schema of a message that others write describes what we accept (mode `validation`). The
    schema of a message that we write describes what we write (mode `serialization`): every field
    is present.
    """

    name: str
    model: type[MessagePart]
    mode: JsonSchemaMode
    examples: tuple[Schema, ...]


MESSAGES = (
    DescribedMessage("job", Job, "validation", (examples.JOB, examples.SMALLEST_JOB)),
    DescribedMessage(
        "status_event", StatusEvent, "serialization", (examples.COMPLETED, examples.UNREADABLE)
    ),
    DescribedMessage("dead_letter_headers", DeadLetter, "serialization", (examples.DEAD_LETTER,)),
    DescribedMessage("cancel", Cancel, "validation", (examples.CANCEL,)),
    DescribedMessage("resume", Resume, "validation", (examples.RESUME,)),
    DescribedMessage("callback_reply", CallbackReply, "validation", (examples.CALLBACK_REPLY,)),
)


class _WithoutTitles(GenerateJsonSchema):
    """Makes JSON Schema without a title for each field: it would only repeat the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False for every field."""
        return False


def message_schema(message: DescribedMessage) -> Schema:
    """Describe one message in a document without references to other files."""
    schema = message.model.model_json_schema(schema_generator=_WithoutTitles, mode=message.mode)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:maskline:schema:{message.name}:v1",
        "title": schema.pop("title"),
        "description": schema.pop("description"),
        "examples": list(message.examples),
        **_on_one_line(schema),
    }


def shared_schemas(ref_template: str) -> dict[str, Schema]:
    """Describe all messages and their parts by name. References follow `ref_template`."""
    _, schemas = models_json_schema(
        [(message.model, message.mode) for message in MESSAGES],
        schema_generator=_WithoutTitles,
        ref_template=ref_template,
    )
    described: dict[str, Schema] = _on_one_line(schemas["$defs"])
    for message in MESSAGES:
        described[message.model.__name__]["examples"] = list(message.examples)
    return described


def _on_one_line(schema: Any) -> Any:
    """Join the lines of every description."""
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
