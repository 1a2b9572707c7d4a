"""The rights of users on a broker with an authorizer, granted and taken away by its admin."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from tests.support.secure_kafka import SecureKafka

_KINDS = {"topic": 2, "group": 3, "transactional-id": 5}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3
APPLIED_SECONDS = 20.0
COMMAND = re.compile(r"`(kafka-acls\.sh [^`]+)`")


@dataclass(frozen=True, slots=True)
class Acl:
    """What a command of `kafka-acls.sh` grants."""

    kind: int
    name: str
    pattern: int
    principal: str
    operation: int

    @classmethod
    def of(cls, command: str) -> "Acl":
        """Read it off the command."""
        program, *words = shlex.split(command)
        assert program == "kafka-acls.sh"
        assert "--add" in words
        words.remove("--add")
        given = dict(zip(words[::2], words[1::2], strict=True))
        del given["--bootstrap-server"]
        prefixed = given.pop("--resource-pattern-type", "literal") == "prefixed"
        principal, operation = given.pop("--allow-principal"), given.pop("--operation")
        ((kind, name),) = given.items()
        return cls(
            _KINDS[kind.removeprefix("--")],
            name,
            _PREFIXED if prefixed else _LITERAL,
            principal,
            _OPERATIONS[operation],
        )


class Acls:
    """Runs what `kafka-acls.sh` would, and takes it back; returns when the broker heeds it."""

    def __init__(self, kafka: SecureKafka) -> None:
        self._kafka = kafka

    async def add(self, *commands: str) -> None:
        """Grant what the commands grant."""
        async with self.admin() as admin:
            for acl in map(Acl.of, commands):
                request = CreateAclsRequest(
                    acl.kind, acl.name, acl.pattern, acl.principal, "*", acl.operation, _ALLOW
                )
                answer = await admin._send_request(request)
                assert [code for code, _ in answer.creation_responses] == [0]
                await self._until(admin, acl, there=True)

    async def remove(self, *commands: str) -> None:
        """Take back what the commands grant."""
        async with self.admin() as admin:
            for acl in map(Acl.of, commands):
                request = DeleteAclsRequest(
                    acl.kind, acl.name, acl.pattern, acl.principal, "*", acl.operation, _ALLOW
                )
                await admin._send_request(request)
                await self._until(admin, acl, there=False)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Inside, a client that may do all."""
        admin = AIOKafkaAdminClient(**self._kafka.admin_options())
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    async def _until(self, admin: AIOKafkaAdminClient, acl: Acl, *, there: bool) -> None:
        asked = DescribeAclsRequest(
            acl.kind, acl.name, acl.pattern, acl.principal, "*", acl.operation, _ALLOW
        )
        async with asyncio.timeout(APPLIED_SECONDS):
            while bool((await admin._send_request(asked)).resources) != there:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def commands_in(words: str) -> list[str]:
    """Give the commands that a message names."""
    return COMMAND.findall(words)
