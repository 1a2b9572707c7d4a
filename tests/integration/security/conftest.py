"""A broker with TLS, three ways to log in and an authorizer, once for all tests here."""

import asyncio
from collections.abc import Iterator

import pytest

from consumer.kafka.rights import ROLES
from producer_tools.local.stack import LocalStack
from tests.support.line_names import LineNames
from tests.support.secure_kafka import SecureKafka
from tests.support.secure_line import SecureLine


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[SecureKafka]:
    """The broker, without topics and without rights for anyone but `admin`."""
    with SecureKafka() as kafka:
        yield kafka


@pytest.fixture(scope="session")
def secure_line(
    secure_kafka: SecureKafka, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> SecureLine:
    """A line on it whose roles have exactly their rights; its topics don't exist yet."""
    folder = tmp_path_factory.mktemp("secure-line")
    line = SecureLine(secure_kafka, stack, LineNames.fresh(), folder)
    line.prepare()
    asyncio.run(line.grant_all(*ROLES))
    return line
