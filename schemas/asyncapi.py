"""The AsyncAPI 3.0 document of the four topics and the callback, from the service's view."""

from typing import Any

from schemas import cloud_events
from schemas.asyncapi_messages import HTTP_BINDING, KAFKA_BINDING, asyncapi_messages, ref
from schemas.json_schema import Schema, shared_schemas
from schemas.topics import CONSUMER_GROUP, TopicSpec, topic_specs


def asyncapi() -> Schema:
    """Describe the whole contract in one AsyncAPI document."""
    specs = {spec.role: spec for spec in topic_specs()}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:maskline",
        "info": {
            "title": "Maskline",
            "version": "1.0.0",
            "description": "Photos of people come in on Kafka, body-region masks come out: in "
            "order, exactly once. Read every topic with isolation.level=read_committed.",
        },
        "defaultContentType": cloud_events.JSON,
        "channels": {
            "jobs": _topic(specs["jobs"], "Job"),
            "status": _topic(specs["status"], "StatusEvent"),
            "deadLetters": _topic(specs["dead_letter"], "DeadLetter"),
            "control": _topic(specs["control"], "Cancel", "Resume"),
            "callback": _callback_channel(),
        },
        "operations": _operations(),
        "components": {
            "messages": asyncapi_messages(),
            "schemas": shared_schemas("#/components/schemas/{model}"),
        },
    }


def _topic(spec: TopicSpec, *messages: str) -> Schema:
    """Describe a topic as a channel with the messages that it carries."""
    settings: dict[str, Any] = {
        "cleanup.policy": spec.cleanup_policy.split(","),
        "retention.ms": spec.retention_ms,
    }
    if spec.max_message_bytes is not None:
        settings["max.message.bytes"] = spec.max_message_bytes
    return {
        "address": spec.name,
        "description": f"Carries {spec.carries}. Key: {spec.key}.",
        "messages": {message: ref("components", "messages", message) for message in messages},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": settings,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _callback_channel() -> Schema:
    """Describe the mask-asset service. Its address is a setting, or comes from the job."""
    return {
        "address": None,
        "description": "The mask-asset service: MASK_ASSET_URL, or the job's callback_url.",
        "messages": {
            "Masks": ref("components", "messages", "Masks"),
            "CallbackReply": ref("components", "messages", "CallbackReply"),
        },
    }


def _operations() -> Schema:
    """Describe what the service receives and what it sends."""
    group = {
        "kafka": {
            "groupId": {"type": "string", "default": CONSUMER_GROUP},
            "bindingVersion": KAFKA_BINDING,
        }
    }
    return {
        "receiveJob": {
            **_operation("receive", "jobs", "Job", "Take jobs in offset order."),
            "bindings": group,
        },
        "receiveCancel": _operation("receive", "control", "Cancel", "Take cancels."),
        "receiveResume": _operation("receive", "control", "Resume", "Lift a halt."),
        "sendStatus": _operation(
            "send",
            "status",
            "StatusEvent",
            "Report the progress of a job. Every record gets exactly one terminal event, in offset "
            "order.",
        ),
        "sendDeadLetter": _operation(
            "send", "deadLetters", "DeadLetter", "Keep the record of a job that failed."
        ),
        "uploadMasks": {
            **_operation("send", "callback", "Masks", "Upload the masks of a job."),
            "bindings": {"http": {"method": "POST", "bindingVersion": HTTP_BINDING}},
            "reply": {
                "channel": ref("channels", "callback"),
                "messages": [ref("channels", "callback", "messages", "CallbackReply")],
            },
        },
    }


def _operation(action: str, channel: str, message: str, summary: str) -> Schema:
    """Describe the sending or receiving of one kind of message."""
    return {
        "action": action,
        "channel": ref("channels", channel),
        "summary": summary,
        "messages": [ref("channels", channel, "messages", message)],
    }
