"""Secrets whose files are replaced are taken up while the process runs, and hidden."""

import asyncio
import base64
import hashlib
import os
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from consumer.job.signing import signed_payload
from consumer.kafka.connection import connection_options
from consumer.s3.fetch import Images
from consumer.settings import (
    CallbackSettings,
    GatewaySettings,
    KafkaSettings,
    S3Settings,
    load,
)
from consumer.settings.renewal import RenewedGroup
from consumer.telemetry.secrets import Secrets
from producer_tools.client.uploads import Uploads
from producer_tools.gateway.access import Access
from producer_tools.gateway.refusal import Refused
from schemas.job import ImageReference
from tests.support.certificates import Authority
from tests.support.mounted_secret import MountedSecret
from tests.support.opened_callback import open_callback
from tests.support.receiver import STORED, Receiver, reply
from tests.support.s3_stand_in import S3StandIn

PHOTO = ImageReference("uploads", "1.jpg")


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MountedSecret:
    """A mounted Secret, as `SECRETS_DIR`."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "KAFKA_", "MASK_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "secrets"
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    return MountedSecret(folder, {})


async def test_s3s_keys_are_taken_up(
    secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next fetch is signed with them, and a look at files that are the same changes nothing."""
    secret.replace({"aws_access_key_id": "first", "aws_secret_access_key": "first secret"})
    async with S3StandIn() as s3:
        s3.put("/uploads/1.jpg", b"photo")
        monkeypatch.setenv("S3_ENDPOINT_URL", s3.origin)
        settings, hidden = load(S3Settings), Secrets(())
        async with Images(settings, max_bytes=100, threads=1) as images:
            group = RenewedGroup(settings, images.renew, hide=hidden.learn)
            await images.fetch(PHOTO)
            secret.replace(
                {
                    "aws_access_key_id": "second",
                    "aws_secret_access_key": "second secret",
                    "aws_session_token": "token",
                }
            )
            group.look()
            with capture_logs() as logs:
                group.look()
            await images.fetch(PHOTO)
        signed = [request.headers["Authorization"].split("/")[0] for request in s3.requests]
    assert ["AWS4-HMAC-SHA256 Credential=first", "AWS4-HMAC-SHA256 Credential=second"] == signed
    assert s3.requests[1].headers["X-Amz-Security-Token"] == "token"
    assert logs == []
    assert hidden.hide("it has second secret in it") == "it has *** in it"


async def test_the_callbacks_secret_is_taken_up_by_a_job_that_holds(
    secret: MountedSecret, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver refuses the old one: the hold ends with the next try, without a restart."""
    async with open_callback(monkeypatch, f"{receiver.origin}/masks") as opened:
        monkeypatch.delenv("MASK_COMPONENT_SECRET")
        secret.replace({"mask_component_secret": "s3cret-value"})
        hidden = Secrets(())
        group = RenewedGroup(load(CallbackSettings), opened.callback.renew, hide=hidden.learn)

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            secret.replace({"mask_component_secret": "the next one"})
            group.look()
            writer.write(reply(401))
            await writer.drain()

        receiver.answers.append(refuse)
        assert await opened.post() == STORED
        assert opened.held.is_set()
    assert ["s3cret-value", "the next one"] == [
        request.headers["X-Internal-Auth"] for request in receiver.requests
    ]
    first, second = receiver.requests
    assert first.body == second.body
    assert hidden.hide("the next one") == "***"


async def test_the_secret_that_signs_is_taken_up(
    secret: MountedSecret, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next post is signed with it."""
    old, new = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
    secret.replace({"callback_signing_secret": old})
    async with open_callback(monkeypatch, f"{receiver.origin}/masks") as opened:
        group = RenewedGroup(load(CallbackSettings), opened.callback.renew, hide=Secrets(()).learn)
        await opened.post()
        secret.replace({"callback_signing_secret": new})
        group.look()
        await opened.post()
    for request, key in zip(receiver.requests, (old, new), strict=True):
        digest = hashlib.sha256(request.body).hexdigest()
        Webhook(key).verify(signed_payload(digest), dict(request.headers))


@pytest.mark.parametrize("wrong", ["", "x" * 70_000, "in two\nlines"])
async def test_a_secret_that_cannot_be_used_leaves_the_old_one(
    wrong: str, secret: MountedSecret, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so, once."""
    async with open_callback(monkeypatch, f"{receiver.origin}/masks") as opened:
        monkeypatch.delenv("MASK_COMPONENT_SECRET")
        secret.replace({"mask_component_secret": "s3cret-value"})
        group = RenewedGroup(load(CallbackSettings), opened.callback.renew, hide=Secrets(()).learn)
        secret.replace({"mask_component_secret": wrong})
        with capture_logs() as logs:
            group.look()
            group.look()
        assert ["secrets.not_renewed"] == [
            line["event"] for line in logs if line["log_level"] == "warning"
        ]
        await opened.post()
        assert receiver.requests[0].headers["X-Internal-Auth"] == "s3cret-value"


def test_kafkas_password_and_certificates_renew_the_line(
    secret: MountedSecret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the files changes; the line is given the settings as they are now."""
    secret.replace({"kafka_username": "u", "kafka_password": "first"})
    certificates = MountedSecret(tmp_path / "tls", {"ca.crt": "a", "tls.crt": "b"})
    file = certificates.folder / "tls.crt"
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_CERT_FILE", str(file))
    given: list[str] = []

    def renew(settings: KafkaSettings) -> None:
        assert settings.kafka_password is not None
        given.append(settings.kafka_password.get_secret_value())

    group = RenewedGroup(load(KafkaSettings), renew, hide=Secrets(()).learn, files=[file, None])
    group.look()
    assert [] == given
    secret.replace({"kafka_username": "u", "kafka_password": "second"})
    group.look()
    certificates.replace({"ca.crt": "a", "tls.crt": "c"})
    group.look()
    assert ["second", "second"] == given


def test_the_gateways_keys_are_taken_up(secret: MountedSecret) -> None:
    """The old one lets nobody in any more. A file that is gone isn't heeded: it would open all."""
    secret.replace({"api_keys": "first,other"})
    settings = load(GatewaySettings)
    access = Access(settings.keys, ())
    group = RenewedGroup(settings, lambda it: access.renew(it.keys), hide=Secrets(()).learn)
    access.check("GET", "/stats", {"x-api-key": "first"})
    secret.replace({"api_keys": "second"})
    group.look()
    access.check("GET", "/stats", {"x-api-key": "second"})
    with pytest.raises(Refused):
        access.check("GET", "/stats", {"x-api-key": "first"})
    (secret.folder / "api_keys").unlink()
    group.look()
    with pytest.raises(Refused):
        access.check("GET", "/stats", {})


def test_uploads_are_signed_with_renewed_keys(
    secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the next object on."""
    secret.replace({"aws_access_key_id": "first", "aws_secret_access_key": "first secret"})
    settings = load(S3Settings)
    uploads = Uploads(settings, at_once=1)
    group = RenewedGroup(settings, uploads.renew, hide=Secrets(()).learn)
    clients = [uploads._s3()]
    secret.replace({"aws_access_key_id": "second", "aws_secret_access_key": "second secret"})
    group.look()
    clients.append(uploads._s3())
    used = [client._get_credentials().access_key for client in clients]
    for client in clients:
        client.close()
    assert ["first", "second"] == used


def test_what_the_environment_says_still_counts(
    secret: MountedSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes before the files, as at the start."""
    monkeypatch.setenv("KAFKA_USERNAME", "of the environment")
    secret.replace({"kafka_username": "a file's"})
    given: list[KafkaSettings] = []
    group = RenewedGroup(load(KafkaSettings), given.append, hide=Secrets(()).learn)
    secret.replace({"kafka_username": "another file's"})
    group.look()
    (settings,) = given
    assert settings.kafka_username is not None
    assert settings.kafka_username.get_secret_value() == "of the environment"


def test_a_replay_run_keeps_its_group(secret: MountedSecret) -> None:
    """Only secrets are renewed: what the run has set stays."""
    secret.replace({"kafka_username": "first"})
    given: list[KafkaSettings] = []
    run = load(KafkaSettings).model_copy(update={"consumer_group": "line-replay-friday"})
    group = RenewedGroup(run, given.append, hide=Secrets(()).learn)
    secret.replace({"kafka_username": "second"})
    group.look()
    (settings,) = given
    assert settings.consumer_group == "line-replay-friday"
    assert settings.kafka_username is not None
    assert settings.kafka_username.get_secret_value() == "second"


def test_certificates_that_cannot_be_used_leave_the_old_ones(
    secret: MountedSecret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file can be read and be no certificate; the next one is taken."""
    good = Authority(tmp_path).pair("client").decode()
    tls = MountedSecret(tmp_path / "tls", {"tls.pem": good})
    file = tls.folder / "tls.pem"
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_CERT_FILE", str(file))
    given: list[KafkaSettings] = []
    group = RenewedGroup(
        load(KafkaSettings),
        given.append,
        hide=Secrets(()).learn,
        files=[file],
        check=connection_options,
    )
    tls.replace({"tls.pem": "no certificate"})
    with capture_logs() as logs:
        group.look()
    (said,) = logs
    assert said["event"] == "secrets.not_renewed"
    assert "KAFKA_CERT_FILE" in said["reason"]
    assert [] == given
    tls.replace({"tls.pem": good})
    group.look()
    assert 1 == len(given)
