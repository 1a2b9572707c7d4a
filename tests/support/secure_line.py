"""A line on a broker with an authorizer: each role is a user with exactly its rights."""

import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx
from aiokafka import AIOKafkaProducer

from consumer.kafka.rights import SUBSCRIBERS_GROUP, Right, Role, rights_of
from consumer.settings import KafkaSettings, load
from producer_tools.client.following import follow
from producer_tools.errors import ToolError
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack
from tests.support.acls import Acls
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames, maskline
from tests.support.models import write_light_catalog
from tests.support.photos import saved, stripes
from tests.support.secure_kafka import SecureKafka

PHOTO = f"s3://{UPLOAD_BUCKET}/rights.png"
REPLAY = "r1"
REFUSED = 3


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a role's work."""

    code: int
    words: str


@dataclass(frozen=True, slots=True)
class SecureLine:
    """A line's topics on such a broker, with S3 and the callback of a local stack."""

    kafka: SecureKafka
    stack: LocalStack
    names: LineNames
    folder: Path

    @property
    def acls(self) -> Acls:
        """Who may do what."""
        return Acls(self.kafka)

    def environment(self, role: Role | str) -> dict[str, str]:
        """The settings of a role's process; its user has its name."""
        folder = self.folder / user_of(role)
        folder.mkdir(exist_ok=True)
        return {
            **self.stack.environment(),
            **self.names.environment(),
            **self.kafka.environment_of(user_of(role)),
            "MODEL_FOLDER": str(self.folder),
            "QWEN_MODEL_PATH": "trivial.onnx",
            "TEMP_FOLDER": str(folder),
            "HEALTH_PORT": "0",
            "PORT": "0",
        }

    def settings(self, role: Role | str) -> KafkaSettings:
        """The same, as the product reads it."""
        with patch.dict(os.environ, self.environment(role)):
            return load(KafkaSettings)

    def rights(self, role: Role) -> tuple[Right, ...]:
        """Give the table's rows of a role."""
        return rights_of(role, self.settings(role))

    def command(self, role: Role, right: Right) -> str:
        """Give the command that grants a right to a role."""
        servers = self.kafka.address("scram")
        return right.command(principal=f"User:{user_of(role)}", servers=servers)

    async def grant_all(self, *roles: Role) -> None:
        """Grant each role what the table says, and nothing else."""
        await self.acls.add(
            *(self.command(role, right) for role in roles for right in self.rights(role))
        )

    def prepare(self) -> None:
        """Put a photo and the models where they are needed."""
        write_light_catalog(self.folder)
        client = self.stack.s3.client()
        client.put_object(Bucket=UPLOAD_BUCKET, Key="rights.png", Body=saved(stripes()))
        client.close()

    async def send_garbage(self) -> None:
        """Write a record that becomes a dead letter."""
        async with AIOKafkaProducer(**self.kafka.admin_options()) as producer:
            await producer.send_and_wait(self.names.jobs, b"garbage", key=b"garbage")

    def maskline(self, role: Role | str, *arguments: str) -> Done:
        """Run a command of `maskline` as a role, to its end."""
        try:
            done = maskline(*arguments, environment=self.environment(role))
        except subprocess.TimeoutExpired as error:
            return Done(-1, f"it has not ended: {(error.stderr or b'')!r}")
        return Done(done.returncode, done.stdout + done.stderr)

    def consumer(self) -> ConsumerProcess:
        """Start a consumer."""
        number = len(list(self.folder.glob("consumer-*.log")))
        environment = self.environment("consumer")
        return ConsumerProcess(f"consumer-{number}", folder=self.folder, environment=environment)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[GatewayProcess]:
        """Run a gateway that is ready."""
        environment = self.environment("gateway")
        del environment["PORT"]
        with GatewayProcess(environment) as gateway:
            yield gateway

    async def first_event(self) -> Done:
        """Read the first event as a subscriber with a group of its own."""
        events = follow(self.settings("subscriber"), from_offset=0, group=SUBSCRIBERS_GROUP)
        try:
            async with aclosing(events):
                return Done(0, (await anext(events)).event.state)
        except ToolError as error:
            return Done(error.exit_code, str(error))

    def replay_run(self) -> Done:
        """Do the first record again, in a replay run."""
        arguments = ("--replay-id", REPLAY, "--from-offset", "0", "--to-offset", "1")
        return self.maskline("replayer", "consume", *arguments)


def user_of(role: Role | str) -> str:
    """Give the name of a role's user."""
    return role.replace(" ", "-")


def operators_command(right: Right, names: LineNames) -> tuple[str, ...]:
    """Give a command that takes a right of the operator's."""
    commands: Mapping[tuple[str, str], tuple[str, ...]] = {
        ("READ", names.dead_letters): ("dead-letters", "list"),
        ("WRITE", names.jobs): ("replay", "--job", "first:0", "--execute"),
        ("WRITE", names.control): ("resume",),
        ("WRITE", f"{names.group}-cancel-"): ("cancel", "waiting:0"),
        ("WRITE", f"{names.group}-replay-"): ("replay", "--job", "first:0", "--execute"),
        ("WRITE", f"{names.group}-redrive"): ("dead-letters", "redrive", "--execute"),
    }
    return commands.get((right.operation, right.name), ("stats",))


def submitted(gateway: GatewayProcess) -> Done:
    """Submit a photo to the gateway."""
    with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as client:
        answer = client.post(
            "/queue/submit", files={"images": ("a.jpg", saved(stripes(), "JPEG"), "image/jpeg")}
        )
    return Done(answer.status_code, answer.text)
