"""The names of a line's topics and consumer group, and how each topic should be configured."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["jobs", "status", "dead_letter", "control"]

JOBS = "mask.jobs"
STATUS = "mask.status"
DEAD_LETTER = "mask.jobs.dlq"
CONTROL = "mask.control"
CONSUMER_GROUP = "mask-segmentation"

DAY_MS = 24 * 60 * 60 * 1000
BROKER_MAX_MESSAGE_BYTES = 1_048_588
"""Largest record of a topic if neither the topic nor its broker sets another limit (Kafka's
default of `message.max.bytes`)."""
DEAD_LETTER_ROOM = 64 * 1024
"""Bytes by which a dead letter may be larger than the job record in it."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic should be created, and what its records are."""

    role: Role
    name: str
    carries: str
    retention_ms: int
    key: str = "job_id"
    partitions: int = 1
    cleanup_policy: str = "delete"
    max_message_bytes: int | None = None
    """Largest record in bytes. None: the broker's default."""
    log_append_time: bool = False
    """Whether the broker's clock decides how long a record is kept, and not the producer's."""

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings, by their names in Kafka."""
        config = {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            # Retention deletes only closed segments, and a quiet topic fills one in a week or more.
            "segment.ms": str(DAY_MS),
        }
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        if self.log_append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        return config


def topic_specs(
    *,
    jobs: str = JOBS,
    status: str = STATUS,
    dead_letter: str = DEAD_LETTER,
    control: str = CONTROL,
    jobs_max_message_bytes: int = BROKER_MAX_MESSAGE_BYTES,
) -> tuple[TopicSpec, ...]:
    """Return the topics of one line, in the contract's order.

    Args:
        jobs: Name of the jobs topic.
        status: Name of the status topic.
        dead_letter: Name of the dead-letter topic.
        control: Name of the control topic.
        jobs_max_message_bytes: Largest record of the jobs topic. Dead letters get 64 KiB more.
    """
    return (
        TopicSpec(
            "jobs", jobs, "jobs, one a record, strict FIFO", 7 * DAY_MS, log_append_time=True
        ),
        TopicSpec("status", status, "status events", 7 * DAY_MS),
        TopicSpec(
            "dead_letter",
            dead_letter,
            "the job record as it arrived, and why it failed",
            30 * DAY_MS,
            key="as the job's",
            max_message_bytes=jobs_max_message_bytes + DEAD_LETTER_ROOM,
        ),
        TopicSpec(
            "control", control, "cancels and resumes", 7 * DAY_MS, cleanup_policy="compact,delete"
        ),
    )
