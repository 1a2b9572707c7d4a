"""The message contract for people: one table for each message, made from the schemas."""

import json
from typing import Final

from schemas import callback, trace_context
from schemas.json_schema import MESSAGES, Described, Schema, message_schema
from schemas.status import ERROR_CODES, STATES, TERMINAL_STATES
from schemas.topics import DAY_MS, TopicSpec, topic_specs

HEAD: Final = """\
# Messages

<!-- Made by `python -m schemas.export` from the models in `schemas/`. Change those, not this. -->

All values are JSON in UTF-8, all times ISO 8601 in UTC. Read every topic with
`isolation.level=read_committed`. The same contract for programs: a JSON Schema for each message
and `asyncapi.json`, in `schemas/generated/` or from `maskline schemas export DIR`.
"""

READING: Final = """\
How a record's value is read: unknown fields are ignored, and an optional field may be null or
absent. Refused, beyond what the tables say: a field named twice, NaN and infinity, numbers of more
than 4,300 digits or outside a double's range, half of a surrogate pair, and more than 64 levels of
objects and lists. Forgiven, beyond what the JSON Schema says: a time without a zone is UTC, and a
space may stand for its `T`.
"""

INTRODUCTIONS: Final = {
    "job": READING,
    "status_event": "Record headers: `ce_specversion` 1.0, `ce_id`, `ce_type`"
    " `maskline.job.<state>.v1`, `ce_source` `/maskline/<group>`, `ce_time`, `ce_subject` (the"
    " `job_id`, where there is one), `content-type`, and the job's `traceparent` where it has one."
    "\n\nEvery field is always present. States: "
    + ", ".join(f"`{state}`" for state in STATES)
    + "; terminal: "
    + ", ".join(f"`{state}`" for state in STATES if state in TERMINAL_STATES)
    + ". A subscriber sees exactly one terminal event for every record of the jobs topic, in offset"
    " order; ignore a `processing` or `retrying` that comes after it.\n\nError codes: "
    + ", ".join(f"`{code}`" for code in ERROR_CODES)
    + ".\n",
    "dead_letter_headers": "Key, value and headers of the job record as they arrived, and after"
    " them these headers, each a UTF-8 string. A dead letter's topic takes 64 KiB more than the"
    " jobs topic, so that every dead letter fits.\n",
    "cancel": "On the control topic.\n",
    "callback_reply": "The masks are POSTed to `MASK_ASSET_URL`, or to the job's `callback_url`, as"
    " multipart/form-data: the fields "
    + ", ".join(f"`{name}`" for name in callback.FIELDS)
    + f", and for each output a file of its name (`{callback.file_name('upper_body_mask')}` and so"
    f" on), `{callback.FILE_TYPE}`. Headers: `{callback.AUTH_HEADER}`,"
    f" `{callback.IDEMPOTENCY_HEADER}`"
    f" (`<job_id>/<topic>/<partition>/<offset>`, the same on"
    f" every retry; a replay puts `<replay_id>/` before it) and `{trace_context.HEADER}`. Any 2xx"
    " with this body is success.\n",
}


def message_page() -> str:
    """Write the whole page in Markdown."""
    sections = [HEAD, _topics(), *(_section(message) for message in MESSAGES)]
    return "\n".join(sections)


def _topics() -> str:
    """Write the table of topics."""
    rows = "\n".join(_topic(spec) for spec in topic_specs())
    return (
        "## Topics\n\n| topic | partitions | cleanup | kept | key | carries |\n"
        f"|---|---|---|---|---|---|\n{rows}\n"
    )


def _topic(spec: TopicSpec) -> str:
    """Write one row of it."""
    days = spec.retention_ms // DAY_MS
    cells = (f"`{spec.name}`", spec.partitions, spec.cleanup_policy, f"{days} days", spec.key)
    return "| " + " | ".join(str(cell) for cell in (*cells, spec.carries)) + " |"


def _section(message: Described) -> str:
    """Write what one message is, its fields and those of its parts, and examples."""
    schema = message_schema(message)
    title = message.model.__name__
    parts = [f"## {title}\n", f"{schema['description']}\n", INTRODUCTIONS[message.name]]
    parts.append(_table(schema))
    for name, part in schema.get("$defs", {}).items():
        parts += [f"### {title}: {name}\n", f"{part['description']}\n", _table(part)]
    for example in message.examples:
        parts.append(f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n")
    return "\n".join(parts)


def _table(schema: Schema) -> str:
    """Write the table of an object's fields."""
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(field)} | {'yes' if name in required else 'no'} |"
        f" {_default(field) if name not in required else ''} | {_cell(field['description'])} |"
        for name, field in schema["properties"].items()
    ]
    head = "| field | type | required | default | meaning |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _default(field: Schema) -> str:
    """Say what an absent field means."""
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _type(field: Schema) -> str:
    """Say a field's type and bounds in a few words."""
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "enum" in field or "const" in field:
        return "one of the listed names" if len(field.get("enum", ())) > 6 else _names(field)
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = " or ".join(kinds)
    if "items" in field:
        words = f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        words = f"object of {_type(field['additionalProperties'])}"
    return words + _bounds(field)


def _names(field: Schema) -> str:
    """List the names that a field may have."""
    return ", ".join(f"`{name}`" for name in field.get("enum", [field.get("const")]))


def _bounds(field: Schema) -> str:
    """Say lengths, range and pattern."""
    said = []
    for low, high, noun in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minimum", "maximum", ""),
    ):
        if low in field and high in field and field[high] < 2**63 - 1:
            said.append(f"{field[low]} to {field[high]}{noun}")
        elif low in field:
            said.append(f"at least {field[low]}{noun}")
        elif high in field:
            said.append(f"at most {field[high]}{noun}")
    if "format" in field:
        said.append(str(field["format"]))
    elif "pattern" in field:
        said.append(f"`{field['pattern']}`")
    return _cell(f" ({', '.join(said)})") if said else ""


def _cell(text: str) -> str:
    """Keep a text inside its table cell."""
    return text.replace("|", "\\|")
