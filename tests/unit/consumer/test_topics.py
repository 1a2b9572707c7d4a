"""The topics' check asks for no right that the line doesn't need."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource
from aiokafka.errors import TopicAuthorizationFailedError

from consumer.kafka import topics
from consumer.settings import KafkaSettings
from schemas.topics import topic_specs

FOREIGN = "payroll"
NAMES = [spec.name for spec in topic_specs()]


class Admin:
    """A cluster with our topics and a foreign one, whose settings are kept from us."""

    kept_from_us: frozenset[str] = frozenset({FOREIGN})

    def __init__(self, **_: Any) -> None:
        pass

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def describe_topics(self) -> list[dict[str, Any]]:
        """Give all: whoever sees one topic sees it here."""
        return [{"topic": name, "partitions": [0]} for name in (*NAMES, FOREIGN)]

    async def describe_configs(self, resources: list[ConfigResource]) -> list[Any]:
        """Give each one's settings, or refuse."""
        asked = [resource.name for resource in resources]
        refused = TopicAuthorizationFailedError.errno
        answers = [
            (refused, "not you", 2, name, [])
            if name in self.kept_from_us
            else (0, "", 2, name, list(specified(name).items()))
            for name in asked
        ]
        return [SimpleNamespace(resources=answers)]


def specified(name: str) -> dict[str, str]:
    """Give the settings that a topic should have."""
    (config,) = [dict(spec.config) for spec in topic_specs() if spec.name == name]
    return config


async def test_a_foreign_topic_is_nothing_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings aren't asked for, so that nobody need let us read them."""
    monkeypatch.setattr(topics, "AIOKafkaAdminClient", Admin)
    assert await topics.check(KafkaSettings()) == []


async def test_settings_that_are_kept_from_us_are_no_reason_not_to_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They can't be compared, which is said."""
    monkeypatch.setattr(topics, "AIOKafkaAdminClient", Admin)
    monkeypatch.setattr(Admin, "kept_from_us", frozenset(NAMES))
    found = await topics.check(KafkaSettings())
    assert NAMES == [difference.topic for difference in found]
    assert all("DescribeConfigs" in difference.detail for difference in found)
    assert not any(difference.fatal for difference in found)
