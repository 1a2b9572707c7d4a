"""What Kafka lets us do: asked of the broker without reading, writing or fencing anything."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.transaction import EndTxnRequest

from consumer.errors import StartError
from consumer.kafka.connection import connection_options
from consumer.kafka.diagnosis import unusable
from consumer.kafka.rights import Kind, Right, lacking
from consumer.kafka.topic_ids import MetadataRequest
from consumer.settings import KafkaSettings

ANSWER_SECONDS = 20.0
HEAR_SECONDS = 3.0
COORDINATOR_SECONDS = 3.0
ASK_AGAIN_SECONDS = 0.2
_BITS = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
"""Kafka's numbers of operations: a topic's answer has a bit for each that we may do."""
_UNTOLD = -(2**31)
_NOBODY = "maskline-doctor"
"""A member that the group doesn't have: with the right, that is the answer."""
_NO_PRODUCER = 2**63 - 1
"""An id that no producer has: with the right to the transactional id, that is the answer."""
_ABORT = False
_DENIED: dict[Kind, type[KafkaError]] = {
    "topic": TopicAuthorizationFailedError,
    "group": GroupAuthorizationFailedError,
    "transactional id": TransactionalIdAuthorizationFailed,
}


async def missing_rights(client: AIOKafkaClient, rights: Sequence[Right]) -> list[Right]:
    """Give those of the rights that we don't have, in their order.

    What a broker can't tell, or what isn't there, counts as granted.

    Raises:
        KafkaError: the broker doesn't answer.
    """
    denied = await _denied_on_topics(client, [right for right in rights if right.kind == "topic"])
    for right in rights:
        if (right.kind == "group" and not await _may_use_group(client, right)) or (
            right.kind == "transactional id" and not await _may_transact(client, right.example)
        ):
            denied.add(right)
    return [right for right in rights if right in denied]


async def ask_rights(settings: KafkaSettings, rights: Sequence[Right]) -> list[Right]:
    """Connect, and give those of the rights that we don't have.

    Raises:
        StartError: Kafka can't be used.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS), asking(settings) as client:
            return await missing_rights(client, rights)
    except (KafkaError, TimeoutError) as error:
        raise await unusable(settings, error) from error


async def check_rights(settings: KafkaSettings, rights: Sequence[Right]) -> list[Right]:
    """Give those that we lack and can do without.

    Raises:
        StartError: a needed right is missing, or Kafka can't be used.
    """
    missing = await ask_rights(settings, rights)
    refuse(settings, missing)
    return missing


async def check_rights_if_heard(settings: KafkaSettings, rights: Sequence[Right]) -> None:
    """Raise `StartError` where Kafka says, within moments, that a needed right is missing."""
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(HEAR_SECONDS), asking(settings) as client:
            refuse(settings, await missing_rights(client, rights))


def refuse(settings: KafkaSettings, missing: Sequence[Right]) -> None:
    """Raise `StartError` where a needed right is missing."""
    if needed := [right for right in missing if right.needed]:
        raise StartError(f"Kafka refuses us: {lacking(needed, settings)}", exit_code=3)


@asynccontextmanager
async def asking(settings: KafkaSettings) -> AsyncIterator[AIOKafkaClient]:
    """Inside, a client for questions; raise `KafkaError` where there is no broker."""
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        await admin.start()
        yield admin._client
    finally:
        await admin.close()


def denied_right(error: BaseException, rights: Sequence[Right]) -> Right | None:
    """Say which of the rights that an operation takes was missing when Kafka refused it."""
    for right in rights:
        if isinstance(error, _DENIED[right.kind]):
            return right
    return None


async def _denied_on_topics(client: AIOKafkaClient, rights: Sequence[Right]) -> set[Right]:
    by_topic: dict[str, list[Right]] = defaultdict(list)
    for right in rights:
        by_topic[right.name].append(right)
    if not by_topic:
        return set()
    with suppress(IncompatibleBrokerVersion, NotImplementedError):  # aiokafka's, where it is older
        answer = await client.send(
            client.get_random_node(), MetadataRequest(*by_topic, operations=True)
        )
        return {
            right
            for code, name, *_, allowed, _ in answer.topics
            for right in by_topic[name]
            if _is_denied(right, for_code(code), allowed)
        }
    return set()


def _is_denied(right: Right, error: type[KafkaError], allowed: int) -> bool:
    if error is TopicAuthorizationFailedError:
        return True
    if error is UnknownTopicOrPartitionError or allowed == _UNTOLD:
        return False
    return not allowed & 1 << _BITS[right.operation]


async def _may_use_group(client: AIOKafkaClient, right: Right) -> bool:
    """Ask who coordinates the group; to read, with the heartbeat of a member that there isn't."""
    with suppress(TimeoutError):  # a coordinator that is away is said by others
        async with asyncio.timeout(COORDINATOR_SECONDS):
            while True:  # Kafka makes its first coordinator when it is first asked for one
                try:
                    return await _group_answers(client, right)
                except KafkaError as error:
                    if not error.retriable:
                        raise
                await asyncio.sleep(ASK_AGAIN_SECONDS)
    return True


async def _group_answers(client: AIOKafkaClient, right: Right) -> bool:
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, right.example)
    except GroupAuthorizationFailedError:
        return False
    if right.operation != "READ":
        return True
    answer = await client.send(node, HeartbeatRequest(right.example, -1, _NOBODY))
    return for_code(answer.error_code) is not GroupAuthorizationFailedError


async def _may_transact(client: AIOKafkaClient, transactional_id: str) -> bool:
    """Ask to abort a transaction of a producer that there isn't: to begin one would fence another.

    Kafka looks at the right first, then at the producer's id, and changes nothing.
    """
    answer = await client.send(
        client.get_random_node(), EndTxnRequest(transactional_id, _NO_PRODUCER, 0, _ABORT)
    )
    return for_code(answer.error_code) is not TransactionalIdAuthorizationFailed
