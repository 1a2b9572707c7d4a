"""The line's topics: created as `schemas.topics` describes them, and compared with that."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code

from consumer.kafka.authorization import missing_rights, refuse
from consumer.kafka.connection import connection_options
from consumer.kafka.diagnosis import unusable
from consumer.kafka.rights import Right
from consumer.settings import KafkaSettings
from schemas.topics import BROKER_MAX_MESSAGE_BYTES, TopicSpec, topic_specs

REACH_SECONDS = 30.0
APPEAR_SECONDS = 0.05
HOW_TO_MEND = (
    "`maskline topics create` makes what is missing, `maskline topics check` says what differs"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is."""

    name: str
    partitions: int
    config: dict[str, str] | None
    """None where we may not read it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a topic is not as it should be."""

    topic: str
    detail: str
    fatal: bool
    """Whether the line's promise can't be kept with it."""


async def check(settings: KafkaSettings, *, unused: Collection[str] = ()) -> list[Difference]:
    """Give the differences between the line's topics and `schemas.topics`.

    `unused`: topics at which nobody looks.

    Raises:
        StartError: Kafka can't be reached, or refuses us.
    """
    async with _admin(settings) as admin:
        return await _differences(admin, settings, unused)


async def create(settings: KafkaSettings) -> tuple[list[str], list[Difference]]:
    """Make the topics that are missing; give their names, and what differs in the others.

    With three brokers each record is kept three times and acknowledged by two; with fewer, once.
    """
    async with _admin(settings) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        made: list[str] = []
        # The jobs topic first: the dead-letter topic's size follows from its.
        for role in ("jobs", "rest"):
            there = await _topics(admin, settings)
            wanted = [spec for spec in _specs(settings, there) if spec.name not in there]
            wanted = [spec for spec in wanted if role == "rest" or spec.role == "jobs"]
            await _make(admin, settings, wanted, replicas=3 if brokers >= 3 else 1)
            made += [spec.name for spec in wanted]
        return made, await _differences(admin, settings)


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How large a batch of records each topic takes, in bytes."""

    status: int = BROKER_MAX_MESSAGE_BYTES
    dead_letter: int = BROKER_MAX_MESSAGE_BYTES


async def message_limits(settings: KafkaSettings) -> MessageLimits:
    """Ask for the `max.message.bytes` of the topics that the line writes to.

    Where we may not ask, it is the broker's default.

    Raises:
        KafkaError: the broker doesn't answer.
    """
    names = (settings.status_topic, settings.dead_letter_topic)
    limits = await max_message_bytes(settings, names)
    return MessageLimits(*(limits[name] for name in names))


async def max_message_bytes(settings: KafkaSettings, names: Sequence[str]) -> dict[str, int]:
    """Give the `max.message.bytes` of each topic: the broker's default where we may not ask.

    Raises:
        KafkaError: the broker doesn't answer.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        await admin.start()
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        limits = dict.fromkeys(names, BROKER_MAX_MESSAGE_BYTES)
        for answer in await admin.describe_configs(resources):
            for code, _, _, name, entries in answer.resources:
                config = {} if code else {entry[0]: entry[1] for entry in entries}
                limits[name] = int(config.get("max.message.bytes", BROKER_MAX_MESSAGE_BYTES))
        return limits
    finally:
        await admin.close()


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with asyncio.timeout(REACH_SECONDS):
            await admin.start()
        yield admin
    except (KafkaError, TimeoutError) as error:
        raise await unusable(settings, error) from error
    finally:
        await admin.close()


async def _topics(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, unused: Collection[str] = ()
) -> dict[str, Topic]:
    """Those of ours that there are, among all topics that we may see.

    Of the others nothing more is asked: we need no right to them.

    Raises:
        StartError: we may not see one of ours, be it there or not.
    """
    ours = {spec.name for spec in _specs(settings, {})} - set(unused)
    listed = {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics()
        if topic["topic"] in ours
    }
    unseen = [Right("DESCRIBE", "topic", name) for name in sorted(ours - listed.keys())]
    if unseen:
        refuse(settings, await missing_rights(admin._client, unseen))
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in listed]
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources) if resources else []:
        for code, reason, _, name, entries in answer.resources:
            if code and for_code(code) is not TopicAuthorizationFailedError:
                raise for_code(code)(reason)
            if not code:
                configs[name] = {entry[0]: entry[1] for entry in entries}
    return {name: Topic(name, partitions, configs.get(name)) for name, partitions in listed.items()}


def _specs(settings: KafkaSettings, there: dict[str, Topic]) -> tuple[TopicSpec, ...]:
    jobs = there.get(settings.jobs_topic)
    largest = jobs.config.get("max.message.bytes") if jobs and jobs.config else None
    return topic_specs(
        jobs=settings.jobs_topic,
        status=settings.status_topic,
        dead_letter=settings.dead_letter_topic,
        control=settings.control_topic,
        jobs_max_message_bytes=int(largest or BROKER_MAX_MESSAGE_BYTES),
    )


async def _make(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, specs: list[TopicSpec], *, replicas: int
) -> None:
    if not specs:
        return
    durable = {"min.insync.replicas": "2"} if replicas == 3 else {}
    answer = await admin.create_topics(
        [
            NewTopic(
                name=spec.name,
                num_partitions=spec.partitions,
                replication_factor=replicas,
                topic_configs={**spec.config, **durable},
            )
            for spec in specs
        ]
    )
    errors = {name: for_code(code) for name, code, _ in answer.topic_errors if code}
    denied = [name for name, error in errors.items() if error is TopicAuthorizationFailedError]
    refuse(settings, [Right("CREATE", "topic", name) for name in denied])
    for name, code, reason in answer.topic_errors:
        if code:
            raise for_code(code)(f"{name}: {reason}")
    await _appeared(admin, {spec.name for spec in specs})


async def _appeared(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the broker lists the topics that it has just made."""
    async with asyncio.timeout(REACH_SECONDS):
        while names - {topic["topic"] for topic in await admin.describe_topics()}:  # noqa: ASYNC110
            await asyncio.sleep(APPEAR_SECONDS)


async def _differences(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, unused: Collection[str] = ()
) -> list[Difference]:
    there = await _topics(admin, settings, unused)
    return [
        difference
        for spec in _specs(settings, there)
        if spec.name not in unused
        for difference in _compare(spec, there.get(spec.name))
    ]


def _compare(spec: TopicSpec, topic: Topic | None) -> list[Difference]:
    if topic is None:
        return [Difference(spec.name, "is missing", fatal=True)]
    found = []
    if topic.partitions != spec.partitions:
        detail = f"has {topic.partitions} partitions, not {spec.partitions}: there is no order"
        found.append(Difference(spec.name, detail, fatal=spec.role in ("jobs", "status")))
    if topic.config is None:
        detail = (
            "keeps its settings from us: they aren't compared without the right DescribeConfigs"
        )
        return [*found, Difference(spec.name, detail, fatal=False)]
    for name, wanted in spec.config.items():
        have = topic.config.get(name, "")
        if _differs(name, wanted, have):
            found.append(Difference(spec.name, f"{name} is {have}, not {wanted}", fatal=False))
    return found


def _differs(name: str, wanted: str, have: str) -> bool:
    if name == "cleanup.policy":
        return set(wanted.split(",")) != set(have.split(","))
    if name == "max.message.bytes":
        return int(have or 0) < int(wanted)
    return wanted != have
