"""Kafka's password, certificates and authority are all replaced while a line and a gateway run."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.support.certificates import Authority
from tests.support.gateway_line import Line, until
from tests.support.line_names import LineNames, create_topics
from tests.support.models import TRIVIAL, write_trivial_body_model
from tests.support.mounted_secret import MountedSecret
from tests.support.photos import saved, stripes
from tests.support.secure_kafka import SecureKafka

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        "RENEWED_KEYS" not in os.environ,
        reason="it needs two minutes and both processors to itself: RENEWED_KEYS=1 runs it",
    ),
]

PHOTO = saved(stripes(), "JPEG")
OLD = {"kafka_username": "old", "kafka_password": "old-password"}
NEW = {"kafka_username": "new", "kafka_password": "new-password"}
PLAIN = "listener.name.scram.plain.sasl.jaas.config="


class RenewedKafka(SecureKafka):
    """A broker that asks for a password and a certificate; all it trusts is replaced by another."""

    successor: Authority

    def forget_the_old(self) -> None:
        """Know the new password and the second authority alone."""
        self._trust(self.successor, names=("new",))
        self.restart()

    def _set_up(self, properties: Path) -> None:
        super()._set_up(properties)
        folder = self.folder / "successor"
        folder.mkdir()
        self.successor = Authority(folder, name="another authority")
        text = properties.read_text()
        text = text.replace("mechanisms=SCRAM-SHA-512,", "mechanisms=PLAIN,SCRAM-SHA-512,")
        text = text.replace("/pki/ca.crt", "/pki/trusted.crt")
        text = text.replace("User:admin\n", "User:admin;User:old;User:new\n")
        properties.write_text(f"{text}listener.name.scram.ssl.client.auth=required\n{PLAIN}")
        self._trust(self.authority, self.successor, names=("old", "new"))

    def _trust(self, *authorities: Authority, names: tuple[str, ...]) -> None:
        """Have a certificate by the first of them, and trust all."""
        trusted = b"".join(authority.file.read_bytes() for authority in authorities)
        (self.folder / "pki" / "trusted.crt").write_bytes(trusted)
        (self.folder / "pki" / "broker.pem").write_bytes(authorities[0].pair("broker"))
        file = self.folder / "server.properties"
        users = " ".join(f'user_{name}="{name}-password"' for name in names)
        module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        kept = file.read_text().partition(PLAIN)[0]
        file.write_text(f"{kept}{PLAIN}{module} {users};\n")


@pytest.fixture
def kafka() -> Iterator[RenewedKafka]:
    with RenewedKafka() as kafka:
        yield kafka


def certificates(authority: Authority, *trusted: Authority) -> dict[str, str]:
    """A Secret as cert-manager makes it."""
    key, _, rest = authority.pair("client").decode().partition("-----BEGIN CERTIFICATE-----")
    return {
        "ca.crt": "".join(each.file.read_text() for each in trusted),
        "tls.crt": f"-----BEGIN CERTIFICATE-----{rest}",
        "tls.key": key,
    }


@contextmanager
def submitting(client: httpx.Client) -> Iterator[list[httpx.Response]]:
    """Submit photos, one after another, until the end of the block; give the answers."""
    answers: list[httpx.Response] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            answers.append(submit(client))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield answers
    finally:
        ended.set()
        worker.join()


def submit(client: httpx.Client) -> httpx.Response:
    return client.post(
        "/api/v1/submit", files={"image": ("a.jpg", PHOTO)}, data={"instruction": "x"}
    )


def completed(client: httpx.Client, answer: httpx.Response) -> bool:
    job = answer.json()["job_id"]
    return bool(client.get(f"/api/v1/status/{job}").json().get("status") == "completed")


def test_all_that_opens_kafka_is_replaced(
    stack: LocalStack, line: LineNames, kafka: RenewedKafka, tmp_path: Path
) -> None:
    """No submit fails while both are valid; then the old ones open nothing, and work goes on."""
    secret = MountedSecret(tmp_path / "secrets", OLD)
    tls = MountedSecret(tmp_path / "tls", certificates(kafka.authority, kafka.authority))
    write_trivial_body_model(tmp_path)
    environment = {
        **stack.environment(),
        **line.environment(),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address("scram"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_CA_FILE": str(tls.folder / "ca.crt"),
        "KAFKA_CERT_FILE": str(tls.folder / "tls.crt"),
        "KAFKA_KEY_FILE": str(tls.folder / "tls.key"),
        "SECRETS_DIR": str(secret.folder),
        "MODEL_FOLDER": str(tmp_path),
        "QWEN_MODEL_PATH": f"{TRIVIAL}.onnx",
        "QUEUE_MAX_SIZE": "1000",
    }
    asyncio.run(create_topics(environment))
    with ExitStack() as started:
        gateway = started.enter_context(GatewayProcess(environment))
        consumer = started.enter_context(ConsumerProcess(environment))
        ours = Line(stack, line, gateway, environment)
        client = started.enter_context(ours.client())
        until(lambda: completed(client, submit(client)))
        with submitting(client) as answers:
            secret.replace(NEW)
            tls.replace(certificates(kafka.successor, kafka.authority, kafka.successor))
            until(lambda: "secrets.renewed" in gateway.log.read_text())
            until(lambda: "secrets.renewed" in consumer.log.read_text())
            begun = len(answers)
            until(lambda: len(answers) > begun + 10)
        assert {200} == {answer.status_code for answer in answers}
        kafka.forget_the_old()
        until(lambda: client.get("/readyz").status_code == 200)
        last = submit(client)
        assert last.status_code == 200, last.text
        until(lambda: completed(client, last))
        assert all(completed(client, answer) for answer in answers)
        job = last.json()["job_id"]
        with client.stream("GET", f"/api/v1/jobs/{job}/events") as events:
            told = [line for line in events.iter_lines() if line.startswith("data: ")]
        assert json.loads(told[-1].removeprefix("data: "))["state"] == "completed"
        for log in (gateway.log, consumer.log):
            assert "new-password" not in log.read_text()
