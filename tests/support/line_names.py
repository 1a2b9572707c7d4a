"""The names of a line of its own."""

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from unittest.mock import patch

from consumer.kafka import topics
from consumer.settings import KafkaSettings, load


@dataclass(frozen=True, slots=True)
class LineNames:
    """The topics of one line, and its consumer group."""

    jobs: str
    status: str
    dead_letters: str
    control: str
    group: str

    @classmethod
    def fresh(cls) -> Self:
        """Names that no other line has."""
        token = uuid.uuid4().hex[:8]
        return cls(
            jobs=f"mask.jobs.{token}",
            status=f"mask.status.{token}",
            dead_letters=f"mask.jobs.dlq.{token}",
            control=f"mask.control.{token}",
            group=f"mask-segmentation-{token}",
        )

    def environment(self) -> dict[str, str]:
        """The consumer's settings that name this line."""
        return {
            "JOBS_TOPIC": self.jobs,
            "STATUS_TOPIC": self.status,
            "DEAD_LETTER_TOPIC": self.dead_letters,
            "CONTROL_TOPIC": self.control,
            "CONSUMER_GROUP": self.group,
        }


def maskline(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of `maskline` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "producer_tools", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def create_topics(environment: Mapping[str, str]) -> None:
    """Make the topics of the line that the environment names, as `maskline topics create` does."""
    with patch.dict(os.environ, environment):
        settings = load(KafkaSettings)
    await topics.create(settings)
