"""A broker with TLS, three ways to log in and an authorizer, once for all tests here."""

from collections.abc import Iterator

import pytest

from tests.support.secure_kafka import SecureKafka


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[SecureKafka]:
    """The broker, without topics and without rights for anyone but `admin`."""
    with SecureKafka() as kafka:
        yield kafka
