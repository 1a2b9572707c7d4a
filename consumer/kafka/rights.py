"""The rights that each role needs in Kafka: the one table of them, shown in docs/security.md."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from consumer.settings import KafkaSettings
from schemas.replay import run_group

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]
Kind = Literal["topic", "group", "transactional id"]
Role = Literal[
    "consumer", "gateway", "operator", "topic creator", "producer", "subscriber", "replayer"
]
ROLES: tuple[Role, ...] = get_args(Role)

SUBSCRIBERS_GROUP = "mask-subscriber"
"""An example: a subscriber chooses its group."""


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one resource. READ and WRITE of a topic include DESCRIBE."""

    operation: Operation
    kind: Kind
    name: str
    prefixed: bool = False
    """Whether it is for all resources whose name begins with `name`."""
    needed: bool = True
    """Whether the role can't do its work without it."""
    used: str = ""
    """The name that is used of those that begin so, where it is known."""

    @property
    def resource(self) -> str:
        """Name it, as in `topic mask.jobs`."""
        if self.prefixed:
            return f"{self.kind}s that begin with {self.name}"
        return f"{self.kind} {self.name}"

    @property
    def example(self) -> str:
        """A name that the right is for."""
        return self.used or (f"{self.name}maskline" if self.prefixed else self.name)

    @property
    def acl_operation(self) -> str:
        """The operation as Kafka's tools and Strimzi write it."""
        return "".join(word.capitalize() for word in self.operation.split("_"))

    def command(self, *, principal: str, servers: str) -> str:
        """Give the command that grants it."""
        words = [
            "kafka-acls.sh", "--bootstrap-server", servers, "--add",
            "--allow-principal", principal, "--operation", self.acl_operation,
            f"--{self.kind.replace(' ', '-')}", self.name,
        ]  # fmt: skip
        if self.prefixed:
            words += ["--resource-pattern-type", "prefixed"]
        return shlex.join(words)


def to_read(*topics: str) -> tuple[Right, ...]:
    """Give the rights to read topics."""
    return tuple(Right("READ", "topic", topic) for topic in topics)


def to_write(*topics: str) -> tuple[Right, ...]:
    """Give the rights to write to topics."""
    return tuple(Right("WRITE", "topic", topic) for topic in topics)


def to_transact(name: str, *, prefixed: bool = False, used: str = "") -> tuple[Right, ...]:
    """Give the right to transactions under an id, or under all that begin so."""
    return (Right("WRITE", "transactional id", name, prefixed=prefixed, used=used),)


def to_ask_group(settings: KafkaSettings) -> tuple[Right, ...]:
    """Give the rights to ask how far the line's group is."""
    return (Right("DESCRIBE", "group", settings.consumer_group), *to_read(settings.jobs_topic))


def rights_of(role: Role, settings: KafkaSettings) -> tuple[Right, ...]:
    """Give what a role of the line must be allowed to do, and no more."""
    return _RIGHTS[role](settings)


def run_rights(settings: KafkaSettings, *, line_group: str) -> tuple[Right, ...]:
    """Give what one replay run of the line needs; `settings` are the run's own, with its group."""
    runs, group = run_group(line_group, ""), settings.consumer_group
    return (
        *_serving(settings),
        Right("READ", "group", runs, prefixed=True, used=group),
        *to_transact(runs, prefixed=True, used=f"{group}-{settings.jobs_topic}-0"),
    )


def subscriber_rights(settings: KafkaSettings, group: str | None) -> tuple[Right, ...]:
    """Give what a subscriber needs that keeps its place in a group of its own, if in any."""
    reads = (Right("READ", "topic", settings.status_topic),)
    return reads if group is None else (*reads, Right("READ", "group", group))


def lacking(missing: Sequence[Right], settings: KafkaSettings) -> str:
    """Say which rights are missing, and the command that mends each; empty where none is."""
    servers, by = settings.kafka_bootstrap_servers, principal(settings)
    return "; ".join(
        f"no {right.operation} on {right.resource}:"
        f" `{right.command(principal=by, servers=servers)}`"
        for right in missing
    )


def principal(settings: KafkaSettings) -> str:
    """Say who we are to the broker, as far as the settings tell."""
    if not settings.kafka_security_protocol.startswith("SASL"):
        by = settings.kafka_cert_file
        return "User:<subject of KAFKA_CERT_FILE>" if by else "User:ANONYMOUS"
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        return "User:<sub of the token>"
    name = settings.kafka_username
    return f"User:{name.get_secret_value() if name else ''}"


def _topics(settings: KafkaSettings) -> tuple[str, ...]:
    return (
        settings.jobs_topic,
        settings.status_topic,
        settings.dead_letter_topic,
        settings.control_topic,
    )


def _serving(settings: KafkaSettings) -> tuple[Right, ...]:
    """What serves records, on the line or in a replay run."""
    return (
        Right("READ", "topic", settings.jobs_topic),
        Right("READ", "topic", settings.status_topic),
        Right("WRITE", "topic", settings.status_topic),
        Right("READ", "topic", settings.control_topic),
        *(
            Right("DESCRIBE_CONFIGS", "topic", name, needed=False)
            for name in (settings.jobs_topic, settings.status_topic, settings.control_topic)
        ),
    )


def _consumer(settings: KafkaSettings) -> tuple[Right, ...]:
    group = settings.consumer_group
    return (
        *_serving(settings),
        Right("WRITE", "topic", settings.dead_letter_topic),
        Right("DESCRIBE_CONFIGS", "topic", settings.dead_letter_topic, needed=False),
        Right("READ", "group", group),
        Right("WRITE", "transactional id", f"{group}-{settings.jobs_topic}-0"),
    )


def _replayer(settings: KafkaSettings) -> tuple[Right, ...]:
    runs = run_group(settings.consumer_group, "")
    return (
        *_serving(settings),
        Right("READ", "group", runs, prefixed=True),
        Right("WRITE", "transactional id", runs, prefixed=True),
    )


def _gateway(settings: KafkaSettings) -> tuple[Right, ...]:
    group = settings.consumer_group
    return (
        Right("READ", "topic", settings.jobs_topic),
        Right("WRITE", "topic", settings.jobs_topic),
        Right("READ", "topic", settings.status_topic),
        Right("READ", "topic", settings.control_topic),
        Right("WRITE", "topic", settings.control_topic),
        Right("DESCRIBE", "group", group),
        Right("WRITE", "transactional id", f"{group}-gateway-", prefixed=True),
        Right("WRITE", "transactional id", f"{group}-cancel-", prefixed=True),
    )


def _operator(settings: KafkaSettings) -> tuple[Right, ...]:
    group = settings.consumer_group
    topics = _topics(settings)
    return (
        *(Right("READ", "topic", name) for name in topics),
        Right("WRITE", "topic", settings.jobs_topic),
        Right("WRITE", "topic", settings.control_topic),
        *(Right("DESCRIBE_CONFIGS", "topic", name, needed=False) for name in topics),
        Right("DESCRIBE", "group", group),
        Right("WRITE", "transactional id", f"{group}-cancel-", prefixed=True),
        Right("WRITE", "transactional id", f"{group}-replay-", prefixed=True),
        Right("WRITE", "transactional id", f"{group}-redrive"),
    )


def _topic_creator(settings: KafkaSettings) -> tuple[Right, ...]:
    topics = _topics(settings)
    return (
        *(Right("CREATE", "topic", name) for name in topics),
        *(Right("DESCRIBE", "topic", name) for name in topics),
        *(Right("DESCRIBE_CONFIGS", "topic", name, needed=False) for name in topics),
    )


def _producer(settings: KafkaSettings) -> tuple[Right, ...]:
    return (
        Right("WRITE", "topic", settings.jobs_topic),
        # Our client follows it. A program that only writes jobs does without.
        Right("READ", "topic", settings.status_topic),
    )


def _subscriber(settings: KafkaSettings) -> tuple[Right, ...]:
    return subscriber_rights(settings, SUBSCRIBERS_GROUP)


_RIGHTS = {
    "consumer": _consumer,
    "gateway": _gateway,
    "operator": _operator,
    "topic creator": _topic_creator,
    "producer": _producer,
    "subscriber": _subscriber,
    "replayer": _replayer,
}
