import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consumer.errors import Unavailable
from consumer.s3.answers import ObjectUnavailable
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.support.receiver import hang_up
from tests.support.s3_stand_in import S3StandIn, breaking_off, dripping

PHOTO = ImageReference("uploads", "1.jpg")


def write_certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1, which is its own CA, and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private CA")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "private-ca.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
async def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3StandIn]:
    """An S3 behind a private CA."""
    file = write_certificate(tmp_path)
    server = S3StandIn()
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.tls.load_cert_chain(file)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("FETCH_DEADLINE_SECONDS", "2")
    async with server:
        monkeypatch.setenv("S3_ENDPOINT_URL", server.origin)
        server.put("/uploads/1.jpg", b"photo" * 50_000)
        yield server


def opened() -> Images:
    """Make fetches of the environment's settings."""
    return Images(load(S3Settings), max_bytes=1_000_000, threads=1)


async def test_a_private_ca_is_trusted_where_it_is_named(s3: S3StandIn) -> None:
    """The connection is kept for the next photo."""
    async with opened() as images:
        for _ in range(3):
            assert await images.fetch(PHOTO) == b"photo" * 50_000
    assert s3.connections == 1


async def test_a_server_of_another_ca_is_a_hold(
    s3: S3StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets no request, and the reason is told."""
    monkeypatch.delenv("AWS_CA_BUNDLE")
    async with opened() as images:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as raised:
            await images.fetch(PHOTO)
    assert not isinstance(raised.value, ObjectUnavailable)
    assert s3.requests == []


async def test_a_fetch_over_tls_has_a_deadline_and_may_break_off(s3: S3StandIn) -> None:
    """As one without."""
    async with opened() as images:
        s3.answers.append(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 1000))
        with pytest.raises(ObjectUnavailable, match="FETCH_DEADLINE_SECONDS"):
            await images.fetch(PHOTO)
        s3.answers.append(breaking_off(b"half", promised=100))
        with pytest.raises(ObjectUnavailable, match="broke off"):
            await images.fetch(PHOTO)
        s3.answers.append(hang_up)
        with pytest.raises(ObjectUnavailable, match="broke off"):
            await images.fetch(PHOTO)
        assert await images.fetch(PHOTO) == b"photo" * 50_000
