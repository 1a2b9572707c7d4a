"""What Kafka lets us do: asked of the broker without reading or writing anything."""

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest

from consumer.errors import StartError
from consumer.kafka.connection import connection_options
from consumer.kafka.topic_ids import MetadataRequest
from consumer.settings import KafkaSettings

_OPERATIONS = {"READ": 3, "WRITE": 4, "DESCRIBE_CONFIGS": 10}
"""Kafka's numbers of operations: a topic's answer has a bit for each that we may do."""
ANSWER_SECONDS = 20.0
ASK_AGAIN_SECONDS = 0.2
_UNTOLD = -(2**31)
_TRANSACTIONS = 1
_NOBODY = "maskline-doctor"
"""A member that the group doesn't have: with the right, that is the answer."""


@dataclass(frozen=True, slots=True)
class MissingRight:
    """A right that the consumer needs and doesn't have."""

    operation: str
    resource: str
    """As in `topic mask.jobs`."""
    fatal: bool
    """Whether the line can't run without it."""


async def missing_rights(settings: KafkaSettings) -> list[MissingRight]:
    """Give the rights that a consumer of this line lacks.

    Raises:
        StartError: the broker doesn't answer, or a topic isn't there.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            return await _missing(admin, settings)
    except (KafkaError, TimeoutError) as error:
        raise StartError(f"Kafka doesn't tell our rights: {error!r}", exit_code=3) from error
    finally:
        await admin.close()


async def _missing(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> list[MissingRight]:
    missing = [
        right
        for topic, operations in _needed(settings).items()
        for right in await _missing_of_topic(admin, topic, operations)
    ]
    if not await _may_join(admin, settings.consumer_group):
        missing.append(MissingRight("READ", f"group {settings.consumer_group}", fatal=True))
    own = f"{settings.consumer_group}-{settings.jobs_topic}-0"
    if not await _may_transact(admin, own):
        missing.append(MissingRight("WRITE", f"transactional id {own}", fatal=True))
    return missing


def _needed(settings: KafkaSettings) -> dict[str, tuple[str, ...]]:
    return {
        settings.jobs_topic: ("READ", "DESCRIBE_CONFIGS"),
        settings.status_topic: ("READ", "WRITE", "DESCRIBE_CONFIGS"),
        settings.dead_letter_topic: ("WRITE", "DESCRIBE_CONFIGS"),
        settings.control_topic: ("READ", "DESCRIBE_CONFIGS"),
    }


async def _missing_of_topic(
    admin: AIOKafkaAdminClient, topic: str, operations: tuple[str, ...]
) -> list[MissingRight]:
    answer = await admin._send_request(MetadataRequest(topic, operations=True))
    error_code, *_, allowed, _ = answer.topics[0]
    if error_code and for_code(error_code) is not TopicAuthorizationFailedError:
        raise for_code(error_code)(topic)
    if error_code:
        allowed = 0
    if allowed == _UNTOLD:
        return []
    return [
        MissingRight(operation, f"topic {topic}", fatal=operation != "DESCRIBE_CONFIGS")
        for operation in operations
        if not allowed & 1 << _OPERATIONS[operation]
    ]


async def _may_join(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Ask with the heartbeat of a member that there isn't."""
    while True:  # Kafka makes its first coordinator when it is first asked for one
        try:
            coordinator = await admin.find_coordinator(group)
            break
        except GroupAuthorizationFailedError:
            return False
        except KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    request = HeartbeatRequest(group, -1, _NOBODY)
    answer = await admin._send_request_to_node(coordinator, request)
    return for_code(answer.error_code) is not GroupAuthorizationFailedError


async def _may_transact(admin: AIOKafkaAdminClient, transactional_id: str) -> bool:
    """Ask who coordinates the id: beginning a transaction with it would fence the owner."""
    answer = await admin._send_request(FindCoordinatorRequest(transactional_id, _TRANSACTIONS))
    return for_code(answer.error_code) is not TransactionalIdAuthorizationFailed
