"""Receivers over TLS: whose certificates count, and the same care as without."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from consumer.errors import JobFailed, StartError
from consumer.settings import CallbackSettings, load
from http_client.async_transport import REST_SECONDS
from tests.support.certificates import Authority
from tests.support.opened_callback import open_callback
from tests.support.raw_server import Behaviour, RawServer, never_read, read_head, send_all
from tests.support.receiver import STORED, reply, stored

LARGE = {"cutout": bytes(8 << 20)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private authority."""
    return Authority(tmp_path_factory.mktemp("ca"))


def over_tls(behaviour: Behaviour, context: ssl.SSLContext) -> Behaviour:
    """Behave so behind a handshake."""

    def behave(line: socket.socket, server: RawServer) -> None:
        with context.wrap_socket(line, server_side=True) as wrapped:
            behaviour(wrapped, server)

    return behave


async def test_a_private_authority_is_trusted_where_it_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its connections are kept."""
    serve = over_tls(send_all(stored()), authority.server_context())
    with RawServer(serve) as server:
        url = server.origin.replace("http:", "https:")
        async with open_callback(monkeypatch, url, callback_ca_file=authority.file) as opened:
            for _ in range(3):
                assert await opened.post() == STORED
                await asyncio.sleep(1.5 * REST_SECONDS)
            assert server.connections == 1


async def test_no_other_authority_is_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither without the setting nor with another file: the secret isn't sent."""
    other = Authority(tmp_path)
    with RawServer(over_tls(send_all(stored()), authority.server_context())) as server:
        origin = server.origin.replace("http:", "https:")
        for file in ("", other.file):
            settings = {"callback_allowed_origins": origin, "callback_ca_file": file}
            async with open_callback(monkeypatch, "http://127.0.0.1:1/", **settings) as opened:
                with pytest.raises(JobFailed, match="certificate verify failed"):
                    await opened.post(callback_url=f"{origin}/own")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_is_a_bad_setting(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Missing, empty or something else: it is named at the start."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("MASK_ASSET_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("MASK_COMPONENT_SECRET", "secret")
    monkeypatch.setenv("CALLBACK_CA_FILE", str(file))
    with pytest.raises(StartError, match="CALLBACK_CA_FILE") as raised:
        load(CallbackSettings)
    assert raised.value.exit_code == 2


async def test_an_early_refusal_over_tls_is_a_refusal(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the body isn't read."""

    def refuse(line: socket.socket, server: RawServer) -> None:
        read_head(line)
        line.sendall(reply(413, b"too large"))
        server.closed.wait(60)

    with RawServer(over_tls(refuse, authority.server_context())) as server:
        url = server.origin.replace("http:", "https:")
        async with open_callback(monkeypatch, url, callback_ca_file=authority.file) as opened:
            with pytest.raises(JobFailed, match="answered 413: too large"):
                await opened.post(files=LARGE)
            assert opened.retries == []


async def test_a_try_over_tls_ends_in_time(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the handshake, and in the body."""
    for serve in (never_read, over_tls(never_read, authority.server_context())):
        with RawServer(serve) as server:
            origin = server.origin.replace("http:", "https:")
            settings = {
                "callback_allowed_origins": origin,
                "callback_ca_file": authority.file,
                "callback_budget_seconds": 0.5,
            }
            async with open_callback(monkeypatch, "http://127.0.0.1:1/", **settings) as opened:
                with pytest.raises(JobFailed, match=r"no answer in 0\.5 s"):
                    await opened.post(files=LARGE, callback_url=f"{origin}/own")
