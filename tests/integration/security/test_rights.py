"""The table of rights: with them a role does its work, without one it hears which.

A cut. `make faults ARGS="--schedule rights"` takes each right from each role, in processes.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from consumer.errors import StartError
from consumer.kafka.authorization import asking, check_rights, missing_rights
from consumer.kafka.rights import Role, lacking, to_transact
from consumer.settings import KafkaSettings
from producer_tools.local.stack import LocalStack
from tests.laboratory.rights import WORK, refused_at_start, refused_while_running, running
from tests.support.line_names import LineNames, create_topics
from tests.support.secure_line import SecureLine

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("role", WORK)
async def test_a_role_does_its_work_with_its_rights_alone(
    secure_line: SecureLine, role: Role
) -> None:
    assert await WORK[role](secure_line) is None


@pytest.mark.parametrize("role", ["consumer", "gateway", "operator", "replayer", "subscriber"])
async def test_each_right_that_is_missing_is_named(secure_line: SecureLine, role: Role) -> None:
    """The broker is asked for the rights of the table, and tells them one by one."""
    settings, rights = secure_line.settings(role), secure_line.rights(role)
    assert await check_rights(settings, rights) == []
    for right in rights:
        command = secure_line.command(role, right)
        await secure_line.acls.remove(command)
        try:
            if right.needed:
                with pytest.raises(StartError) as raised:
                    await check_rights(settings, rights)
                assert 3 == raised.value.exit_code
                said = str(raised.value)
            else:
                said = lacking(await check_rights(settings, rights), settings)
            assert said.endswith(f"no {right.operation} on {right.resource}: `{command}`")
        finally:
            await secure_line.acls.add(command)


@pytest.mark.parametrize(
    ("role", "operation", "kind"),
    [
        ("consumer", "READ", "group"),
        ("gateway", "WRITE", "transactional id"),
        ("operator", "WRITE", "topic"),
        ("topic creator", "CREATE", "topic"),
        ("producer", "WRITE", "topic"),
        ("subscriber", "READ", "group"),
    ],
)
async def test_a_process_that_may_not_do_its_work_ends_and_says_why(
    secure_line: SecureLine, role: Role, operation: str, kind: str
) -> None:
    right = next(
        one for one in secure_line.rights(role) if (one.operation, one.kind) == (operation, kind)
    )
    assert await refused_at_start(secure_line, role, right) is None


async def test_a_right_taken_away_makes_unready_until_it_is_back(secure_line: SecureLine) -> None:
    """Within a session's time-out, and ready by itself, whatever the right is for."""
    cut: tuple[tuple[Role, str, str], ...] = (
        ("consumer", "READ", "topic"),  # of the jobs
        ("consumer", "READ", "group"),
        ("consumer", "WRITE", "transactional id"),
        ("gateway", "WRITE", "topic"),
    )
    async with running(secure_line) as services:
        for role, operation, kind in cut:
            right = next(
                one
                for one in secure_line.rights(role)
                if (one.operation, one.kind) == (operation, kind)
            )
            wrong = await refused_while_running(secure_line, role, right, services[role])
            assert wrong is None, f"{role} {right}"


async def test_asking_what_we_may_do_fences_nobody(stack: LocalStack, line: LineNames) -> None:
    """An owner's open transaction goes on, although its id was asked for."""
    servers = stack.kafka.bootstrap_servers
    await create_topics({**line.environment(), "KAFKA_BOOTSTRAP_SERVERS": servers})
    settings = KafkaSettings().model_copy(update={"kafka_bootstrap_servers": servers})
    async with (
        asyncio.timeout(60),
        AIOKafkaProducer(bootstrap_servers=servers, transactional_id=line.group) as owner,
        asking(settings) as client,
    ):
        for _ in range(2):
            async with owner.transaction():
                await owner.send_and_wait(line.status, b"event")
                assert await missing_rights(client, to_transact(line.group)) == []
