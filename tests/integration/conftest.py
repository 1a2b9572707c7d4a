"""The real local stack, once a test session, and topics of its own for each test."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from producer_tools.local.stack import LocalStack
from tests.support.line_names import LineNames
from tests.support.topics import administration


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Kafka, S3 and the mask-asset service, shared by all tests of the session."""
    with LocalStack() as stack:
        yield stack


@pytest.fixture
def behaving_stack(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack, whose mask-asset service behaves again afterwards."""
    yield stack
    stack.mask_assets.behave()


@pytest.fixture
def line() -> LineNames:
    """Fresh names for a line's topics and group; the topics don't exist yet."""
    return LineNames.fresh()


@pytest.fixture
async def admin(stack: LocalStack) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client of the stack's Kafka."""
    async with administration(stack.kafka.bootstrap_servers) as client:
        yield client


@pytest.fixture
async def topic(admin: AIOKafkaAdminClient) -> str:
    """A fresh topic of one partition."""
    name = f"topic.{uuid.uuid4().hex[:8]}"
    await admin.create_topics([NewTopic(name, 1, 1)])
    return name
