"""Kafka's password is replaced while the line runs: it goes on with the new one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer_tools.local import ports
from producer_tools.local.kafka.broker import Kafka
from producer_tools.local.stack import LocalStack
from tests.support.bench import Bench
from tests.support.line_names import LineNames, create_topics
from tests.support.models import write_trivial_body_model
from tests.support.mounted_secret import MountedSecret

pytestmark = pytest.mark.integration

JAAS = "listener.name.guarded.plain.sasl.jaas.config="
MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule required"


class GuardedKafka(Kafka):
    """A broker with one more listener, which asks for a name and a password."""

    guarded_port: int

    def let_in(self, **users: str) -> None:
        """Know these users, by their passwords, from the next start on."""
        file = self.folder / "server.properties"
        kept = [line for line in file.read_text().splitlines() if not line.startswith(JAAS)]
        known = " ".join(f'user_{name}="{password}"' for name, password in users.items())
        file.write_text("\n".join([*kept, f"{JAAS}{MODULE} {known};", ""]))

    def _write_properties(self, file: Path) -> None:
        super()._write_properties(file)
        self.guarded_port = ports.choose("Kafka's guarded listener", setting="")
        address = f",GUARDED://{ports.HOST}:{self.guarded_port}"
        protocols = "listener.security.protocol.map="
        text = "\n".join(
            f"{line}{address}"
            if line.startswith(("listeners=", "advertised.listeners="))
            else line.replace(protocols, f"{protocols}GUARDED:SASL_PLAINTEXT,")
            for line in file.read_text().splitlines()
        )
        file.write_text(f"{text}\nlistener.name.guarded.sasl.enabled.mechanisms=PLAIN\n")
        self.let_in(old="old-password", new="new-password")


@pytest.fixture
def kafka() -> Iterator[GuardedKafka]:
    with GuardedKafka() as kafka:
        yield kafka


@pytest.fixture
def bench(
    stack: LocalStack, line: LineNames, kafka: GuardedKafka, tmp_path: Path
) -> Iterator[Bench]:
    """Consumers of a line on that broker."""
    write_trivial_body_model(tmp_path)
    bench = Bench(stack, line, tmp_path)
    bench.bootstrap = kafka.bootstrap_servers
    bench.environment |= {
        "KAFKA_BOOTSTRAP_SERVERS": f"{ports.HOST}:{kafka.guarded_port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SECRETS_DIR": str(tmp_path / "secrets"),
    }
    yield bench
    bench.stop()


async def test_the_line_goes_on_with_the_new_password(
    bench: Bench, kafka: GuardedKafka, tmp_path: Path
) -> None:
    """The broker forgets the old user, and each record still has its one end."""
    secret = MountedSecret(
        tmp_path / "secrets", {"kafka_username": "old", "kafka_password": "old-password"}
    )
    await create_topics(bench.environment)
    photo = bench.put_photo(f"{bench.line.group}.png")
    consumer = bench.start()
    for number in range(3):
        await bench.submit(f"j{number}", photo)
    await bench.terminal_events(3)
    secret.replace({"kafka_username": "new", "kafka_password": "new-password"})
    await consumer.until_logged("secrets.renewed")
    for number in range(3, 6):
        await bench.submit(f"j{number}", photo)
    await bench.terminal_events(6)
    assert 1 == len(consumer.entries("lane.opened")), "nothing was broken off"
    kafka.let_in(new="new-password")
    kafka.restart()
    for number in range(6, 9):
        await bench.submit(f"j{number}", photo)
    events = await bench.terminal_events(9)
    assert [("completed", offset) for offset in range(9)] == [
        (event["state"], event["source"]["offset"]) for event in events
    ]
    assert "new-password" not in consumer.log.read_text()
    await consumer.end()
