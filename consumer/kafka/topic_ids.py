"""Topic ids: what tells a topic from another of its name that was made later (KIP-516).

aiokafka's metadata stop at a version without them, so the request is spelt out here. Kafka has it
since 3.1; a broker that doesn't, or that gave its topics no ids, says nothing.
"""

import base64
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_ID_BYTES = 16
_NO_ID = bytes(_ID_BYTES)


class _Uuid:
    """Kafka's type of a topic id."""

    @staticmethod
    def encode(value: bytes) -> bytes:
        return value

    @staticmethod
    def decode(data: BytesIO) -> bytes:
        return data.read(_ID_BYTES)

    repr = repr


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    """Asks for topics by their names, and makes none."""

    API_KEY = 3

    def __init__(self, *topics: str, operations: bool = False) -> None:
        """`operations`: whether to tell what we may do with each topic."""
        self._topics = topics
        self._operations = operations

    def build(self, request_struct_class: Any) -> Any:
        """Give the request as aiokafka sends it."""
        topics: list[Any] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, self._operations, {})


async def topic_id(client: AIOKafkaClient, topic: str) -> str:
    """Give the topic's id as Kafka's own tools write it; empty where the broker has none.

    Raises:
        KafkaError: the broker doesn't answer, or doesn't know the topic.
    """
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await client.send(node, MetadataRequest(topic))
    except (IncompatibleBrokerVersion, NotImplementedError):  # aiokafka's, where it is too old
        return ""
    error_code, _, found, *_ = answer.topics[0]
    if error_code:
        raise for_code(error_code)(topic)
    return "" if found == _NO_ID else base64.urlsafe_b64encode(found).decode().rstrip("=")
