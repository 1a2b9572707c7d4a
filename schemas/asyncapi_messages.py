"""The messages of the AsyncAPI document: their headers, keys and payloads."""

from schemas import callback, cloud_events, trace_context
from schemas.job import OUTPUTS
from schemas.json_schema import Schema
from schemas.status import STATES

KAFKA_BINDING = "0.5.0"
HTTP_BINDING = "0.3.0"

TRACE = {
    "type": "string",
    "description": "W3C trace context, copied from the job to its callback and status events.",
    "pattern": trace_context.PATTERN,
}


def asyncapi_messages() -> Schema:
    """Describe headers, keys and payloads of all messages."""
    return {
        "Job": _message("Job", headers=_headers({trace_context.HEADER: TRACE})),
        "StatusEvent": _message("StatusEvent", headers=_cloud_event_headers()),
        "DeadLetter": {
            "summary": "The job record as it arrived. Its headers state why it failed.",
            "contentType": "application/octet-stream",
            "headers": ref("components", "schemas", "DeadLetter"),
            "payload": {
                "description": "The value of the job record, byte for byte, or null: also where"
                " the header mask-value-omitted says that it is left out."
            },
            "bindings": _key("The key of the job record, byte for byte, or null."),
        },
        "Cancel": _message("Cancel"),
        "Resume": {**_message("Resume"), "bindings": _key("`!resume`.")},
        "Masks": _masks(),
        "CallbackReply": {
            "summary": "The response to an upload that was accepted.",
            "contentType": cloud_events.JSON,
            "payload": ref("components", "schemas", "CallbackReply"),
            "bindings": {"http": {"statusCode": 200, "bindingVersion": HTTP_BINDING}},
        },
    }


def ref(*path: str) -> Schema:
    """Refer to another place of the document."""
    return {"$ref": "#/" + "/".join(path)}


def _message(name: str, headers: Schema | None = None) -> Schema:
    """Describe a JSON message whose key is its job."""
    key = "The job_id." if name != "StatusEvent" else "The key of the job record, or null."
    return {
        "contentType": cloud_events.JSON,
        **({} if headers is None else {"headers": headers}),
        "payload": ref("components", "schemas", name),
        "bindings": _key(key),
    }


def _key(description: str) -> Schema:
    """Describe a record's key."""
    return {
        "kafka": {
            "key": {"type": ["string", "null"], "description": description},
            "bindingVersion": KAFKA_BINDING,
        }
    }


def _headers(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    """Describe headers, each a UTF-8 string."""
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


def _cloud_event_headers() -> Schema:
    """Describe a status event's headers (CloudEvents 1.0, Kafka's binary mode)."""
    properties: Schema = {
        cloud_events.SPEC_VERSION: {"type": "string", "const": cloud_events.VERSION},
        cloud_events.ID: {"type": "string", "description": "The event_id."},
        cloud_events.TYPE: {"type": "string", "enum": list(map(cloud_events.event_type, STATES))},
        cloud_events.SOURCE: {
            "type": "string",
            "description": "/maskline/ and the consumer group.",
        },
        cloud_events.TIME: {
            "type": "string",
            "format": "date-time",
            "description": "The occurred_at.",
        },
        cloud_events.SUBJECT: {"type": "string", "description": "The job_id, if there is one."},
        cloud_events.CONTENT_TYPE: {"type": "string", "const": cloud_events.JSON},
        cloud_events.TOPIC_ID: {
            "type": "string",
            "description": "The jobs topic's id, in terminal events, where the broker gives one.",
        },
    }
    optional = (cloud_events.SUBJECT, cloud_events.TOPIC_ID)
    required = tuple(name for name in properties if name not in optional)
    return _headers({**properties, trace_context.HEADER: TRACE}, required)


def _masks() -> Schema:
    """Describe the upload: a form with fields and PNG files."""
    fields = {
        name: {"type": "string", "description": f"The job's {name}."} for name in callback.FIELDS
    }
    files = {
        output: {
            "type": "string",
            "contentMediaType": callback.FILE_TYPE,
            "description": f"The file {callback.file_name(output)}.",
        }
        for output in OUTPUTS
    }
    headers = {
        callback.AUTH_HEADER: {"type": "string", "description": "MASK_COMPONENT_SECRET."},
        callback.IDEMPOTENCY_HEADER: {
            "type": "string",
            "description": "[replay_id/]job_id/topic/partition/offset, the same on every retry.",
        },
        trace_context.HEADER: TRACE,
    }
    return {
        "summary": "The finished masks of one job.",
        "contentType": "multipart/form-data",
        "headers": _headers(headers, (callback.AUTH_HEADER, callback.IDEMPOTENCY_HEADER)),
        "payload": {
            "type": "object",
            "properties": {**fields, **files},
            "required": list(callback.FIELDS),
        },
    }
