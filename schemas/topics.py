"""The four topics as they should be."""

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["jobs", "status", "dead_letter", "control"]

JOBS: Final = "mask.jobs"
STATUS: Final = "mask.status"
DEAD_LETTER: Final = "mask.jobs.dlq"
CONTROL: Final = "mask.control"

DAY_MS: Final = 24 * 60 * 60 * 1000
BROKER_MAX_MESSAGE_BYTES: Final = 1_048_588
"""What a topic takes when neither it nor its broker says otherwise (`message.max.bytes`)."""
DEAD_LETTER_ROOM: Final = 64 * 1024
"""Bytes that a dead letter may be larger than the job record in it."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be made, and what it carries."""

    role: Role
    name: str
    carries: str
    retention_ms: int
    key: str = "job_id"
    partitions: int = 1
    cleanup_policy: str = "delete"
    max_message_bytes: int | None = None
    """Null: the broker's default."""

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings by their Kafka names."""
        config = {"cleanup.policy": self.cleanup_policy, "retention.ms": str(self.retention_ms)}
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        return config


def topic_specs(
    *,
    jobs: str = JOBS,
    status: str = STATUS,
    dead_letter: str = DEAD_LETTER,
    control: str = CONTROL,
    jobs_max_message_bytes: int = BROKER_MAX_MESSAGE_BYTES,
) -> tuple[TopicSpec, ...]:
    """Describe the topics of one line, in the contract's order.

    Args:
        jobs: name of the jobs topic.
        status: name of the status topic.
        dead_letter: name of the dead-letter topic.
        control: name of the control topic.
        jobs_max_message_bytes: what the jobs topic takes; a dead letter gets 64 KiB more.
    """
    return (
        TopicSpec("jobs", jobs, "jobs, one a record, strict FIFO", 7 * DAY_MS),
        TopicSpec("status", status, "status events", 7 * DAY_MS),
        TopicSpec(
            "dead_letter",
            dead_letter,
            "the job record as it arrived, and why it failed",
            30 * DAY_MS,
            key="as the job's",
            max_message_bytes=jobs_max_message_bytes + DEAD_LETTER_ROOM,
        ),
        TopicSpec("control", control, "cancels", 7 * DAY_MS, cleanup_policy="compact,delete"),
    )
