"""Makes the page docs/messages.md: a table for each message, made from its schema."""

import json

from schemas import callback, cloud_events, redrive, replay, trace_context
from schemas.json_object import MAX_NESTING, MAX_PARTS
from schemas.json_schema import MESSAGES, DescribedMessage, Schema, message_schema
from schemas.message import INT64_MAX
from schemas.status import ERROR_CODES, STATES, TERMINAL_STATES
from schemas.topics import DAY_MS, DEAD_LETTER_ROOM, TopicSpec, topic_specs

HEAD = """\
# Messages

<!-- Made by `python -m schemas.export` from the models in `schemas/`. Change those, not this. -->

All values are JSON in UTF-8, all times are ISO 8601 in UTC. Read every topic with
`isolation.level=read_committed`. Programs find the same contract in `schemas/generated/`, or get it
from `maskline schemas export DIR`: a JSON Schema for each message, and `asyncapi.json`.
"""

HOW_JOBS_ARE_READ = f"""\
A record has at most 16 MiB when it is unpacked, and at most 10,000 headers, whose names are UTF-8.
Any other record fails with `invalid_message`.

How a record's value is read: unknown fields are ignored, and an optional field may be null or
absent. The service also refuses repeated fields, NaN and infinity, numbers of more than 4,300
digits or outside a double's range, lone surrogates, more than {MAX_NESTING} levels of objects or
lists, and more than {MAX_PARTS:,} commas, objects and lists together. It accepts more than the JSON
Schema in two cases: a time without a zone is UTC, and a
space may take the place of the `T` in a time.
"""

REPEATED_JOBS = f"""\
A copy that `maskline replay` makes has `<replay>:<offset of the original>` for its `job_id`, the
original's `job_id` in `replay_of`, no batch, and the header `{replay.RANGE}`
(`<from>-<to>`: which offsets the replay repeats). A redriven record is the one that failed, with
two more headers: `{redrive.OF}` (`<topic>/<partition>/<offset>` of the dead letter) and
`{redrive.REDRIVES}` (how often it was redriven, from 1).
"""

INTRODUCTIONS = {
    "job": f"{HOW_JOBS_ARE_READ}\n{REPEATED_JOBS}",
    "status_event": f"Record headers: `{cloud_events.SPEC_VERSION}` {cloud_events.VERSION},"
    f" `{cloud_events.ID}`, `{cloud_events.TYPE}` `{cloud_events.event_type('<state>')}`,"
    f" `{cloud_events.SOURCE}` `{cloud_events.event_source('<group>')}`, `{cloud_events.TIME}`,"
    f" `{cloud_events.SUBJECT}` (the `job_id`, if there is one), `{cloud_events.CONTENT_TYPE}`, and"
    f" the job's `{trace_context.HEADER}` if it has one. Terminal events also have"
    f" `{cloud_events.TOPIC_ID}`, the id of the jobs topic, if the broker gives one. An event that"
    " wouldn't fit the topic is made to fit: a key that is too long is left out, and long texts are"
    " cut."
    "\n\nEvery field is always present. States: "
    + ", ".join(f"`{state}`" for state in STATES)
    + "; terminal: "
    + ", ".join(f"`{state}`" for state in STATES if state in TERMINAL_STATES)
    + ". A subscriber sees exactly one terminal event for every record of the jobs topic, in offset"
    " order. Ignore a `processing` or `retrying` event that comes after it.\n\nError codes: "
    + ", ".join(f"`{code}`" for code in ERROR_CODES)
    + ".\n",
    "dead_letter_headers": "Key, value and headers of the job record as they arrived, followed by"
    f" these headers, each a UTF-8 string. The dead-letter topic takes {DEAD_LETTER_ROOM // 1024}"
    " KiB more than the jobs topic, so that nearly every dead letter fits. If one doesn't, or its"
    " record can't be unpacked or read, it is written without the parts that don't fit or can't be"
    " read.\n",
    "cancel": "A record of the control topic.\n",
    "resume": (
        "A record of the control topic. Its key is `!resume`. `maskline resume` writes it, with the"
        " id of the jobs topic as the header `ce_topicid`: it lifts no halt of a topic that was"
        " made later under that name.\n"
    ),
    "callback_reply": "The service sends the masks in a POST request to `MASK_ASSET_URL`, or to"
    " the job's `callback_url`, as multipart/form-data: the fields "
    + ", ".join(f"`{name}`" for name in callback.FIELDS)
    + f", and for each output a file with its name"
    f" (`{callback.file_name('upper_body_mask')}` and so on), `{callback.FILE_TYPE}`."
    f" Headers: `{callback.AUTH_HEADER}`, `{callback.IDEMPOTENCY_HEADER}`"
    f" (`<job_id>/<topic>/<partition>/<offset>`, the same on"
    f" every retry; a replay puts `<replay_id>/` before it) and `{trace_context.HEADER}`; with"
    " `CALLBACK_SIGNING_SECRET` also [signatures](callbacks.md#check-the-signature). Any"
    " response with a 2xx status and this body is success.\n",
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
    """Write one row of the table of topics."""
    days = spec.retention_ms // DAY_MS
    cells = (f"`{spec.name}`", spec.partitions, spec.cleanup_policy, f"{days} days", spec.key)
    return "| " + " | ".join(str(cell) for cell in (*cells, spec.carries)) + " |"


def _section(message: DescribedMessage) -> str:
    """Write the section of one message: description, fields, fields of its parts, examples."""
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
    """Return the default of an optional field, or nothing."""
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _type(field: Schema) -> str:
    """Describe a field's type and bounds."""
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "enum" in field or "const" in field:
        return "one of the listed names" if len(field.get("enum", ())) > 6 else _names(field)
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    text = " or ".join(kinds)
    if "items" in field:
        text = f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        text = f"object of {_type(field['additionalProperties'])}"
    return text + _bounds(field)


def _names(field: Schema) -> str:
    """List the names that a field may have."""
    return ", ".join(f"`{name}`" for name in field.get("enum", [field.get("const")]))


def _bounds(field: Schema) -> str:
    """Describe lengths, range and pattern."""
    bounds = []
    for low, high, noun in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minimum", "maximum", ""),
    ):
        if low in field and high in field and field[high] < INT64_MAX:
            bounds.append(f"{field[low]} to {field[high]}{noun}")
        elif low in field:
            bounds.append(f"at least {field[low]}{noun}")
        elif high in field:
            bounds.append(f"at most {field[high]}{noun}")
    if "format" in field:
        bounds.append(str(field["format"]))
    elif "pattern" in field:
        bounds.append(f"`{field['pattern']}`")
    return _cell(f" ({', '.join(bounds)})") if bounds else ""


def _cell(text: str) -> str:
    """Escape a text for a table cell."""
    return text.replace("|", "\\|")
