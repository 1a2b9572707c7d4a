"""The real local stack, once a test session, and topics of its own for each test."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from producer_tools.local.stack import LocalStack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Kafka, S3 and the mask-asset service, shared by all tests of the session."""
    with LocalStack() as stack:
        yield stack


@pytest.fixture
def behaving_stack(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack, with the mask-asset service's rules cleared afterwards."""
    yield stack
    stack.mask_assets.behave()


@dataclass(frozen=True)
class Line:
    """The names of one test's own line."""

    jobs: str
    status: str
    dead_letters: str
    control: str
    group: str

    def environment(self) -> dict[str, str]:
        """The consumer's settings that name this line."""
        return {
            "JOBS_TOPIC": self.jobs,
            "STATUS_TOPIC": self.status,
            "DEAD_LETTER_TOPIC": self.dead_letters,
            "CONTROL_TOPIC": self.control,
            "CONSUMER_GROUP": self.group,
        }


@pytest.fixture
def line() -> Line:
    """Fresh names for a line's topics and group; the topics don't exist yet."""
    token = uuid.uuid4().hex[:8]
    return Line(
        jobs=f"mask.jobs.{token}",
        status=f"mask.status.{token}",
        dead_letters=f"mask.jobs.dlq.{token}",
        control=f"mask.control.{token}",
        group=f"mask-segmentation-{token}",
    )


@pytest.fixture
async def admin(stack: LocalStack) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client of the stack's Kafka."""
    client = AIOKafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def topic(admin: AIOKafkaAdminClient) -> str:
    """A fresh topic of one partition."""
    name = f"topic.{uuid.uuid4().hex[:8]}"
    await admin.create_topics([NewTopic(name, 1, 1)])
    return name
