import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumer.errors import StartError, Unavailable
from consumer.s3.answers import ObjectUnavailable
from consumer.s3.fetch import Images
from consumer.settings import S3Settings, load
from schemas.job import ImageReference
from tests.support.receiver import Receiver, hang_up, reply, silence
from tests.support.s3_stand_in import S3StandIn, error

PHOTO = ImageReference("uploads", "1.jpg")


def granted(key: str = "ASIA1", expires: str = "2099-01-01T00:00:00Z") -> bytes:
    """Write STS's grant."""
    return reply(
        200,
        (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>"
            "<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
            f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
            "</AssumeRoleWithWebIdentityResponse>"
        ).encode(),
        Content_Type="text/xml",
    )


def refusal(status: int, code: str) -> bytes:
    """Write STS's refusal."""
    document = (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    )
    return reply(status, document.encode(), Content_Type="text/xml")


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[S3StandIn]:
    """An S3 with a photo, and no credentials for it anywhere."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    async with S3StandIn() as server:
        server.put("/uploads/1.jpg", b"photo")
        monkeypatch.setenv("S3_ENDPOINT_URL", server.origin)
        yield server


@pytest.fixture
async def sts(
    s3: S3StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Receiver]:
    """The STS that a pod's role is asked of."""
    del s3
    token = tmp_path / "token"
    token.write_text("a pod's token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/line")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    async with Receiver() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.origin)
        yield server


def opened() -> Images:
    """Make fetches of the environment's settings."""
    return Images(load(S3Settings), max_bytes=1000, threads=2)


async def hold(images: Images) -> str:
    """Fetch what can't be fetched for no fault of the photo's; say why."""
    with pytest.raises(Unavailable) as raised:
        await images.fetch(PHOTO)
    assert raised.value.code == "storage_unavailable"
    assert not isinstance(raised.value, ObjectUnavailable)
    return str(raised.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(403, "AccessDenied"), r"STS: .*AccessDenied.*AssumeRoleWithWebIdentity"),
        (refusal(400, "ExpiredTokenException"), r"STS: .*ExpiredTokenException"),
        (refusal(400, "InvalidIdentityToken"), r"STS: .*InvalidIdentityToken"),
        (refusal(404, "NoSuchKey"), r"STS: .*NoSuchKey"),
        (refusal(500, "InternalFailure"), r"STS: .*InternalFailure"),
        (reply(404, b"default backend - 404"), r"STS: "),
        (reply(200, b"nonsense"), r"STS: "),
        (reply(200, b"<A/>"), r"STS: "),
    ],
)
async def test_sts_that_gives_no_credentials_is_a_hold(
    answer: bytes, says: str, s3: S3StandIn, sts: Receiver
) -> None:
    """It is named, S3 isn't asked, and the line goes on by itself when STS does."""
    sts.answers.extend([answer] * 6)
    async with opened() as images:
        assert re.search(says, await hold(images))
        assert s3.requests == []
        sts.answers.clear()
        sts.answers.append(granted())
        assert await images.fetch(PHOTO) == b"photo"
    assert s3.requests[-1].headers["X-Amz-Security-Token"] == "token"


@pytest.mark.parametrize("behaviour", [hang_up, silence])
async def test_sts_that_does_not_answer_is_a_hold(
    behaviour: object, s3: S3StandIn, sts: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for no longer than a fetch may wait."""
    monkeypatch.setattr("consumer.s3.credentials.ASK_SECONDS", 0.3)
    sts.answers.extend([behaviour] * 6)  # type: ignore[list-item]
    async with opened() as images:
        reason = await hold(images)
    assert "no credentials for S3" in reason
    assert s3.requests == []


async def test_an_sts_that_is_down_is_a_hold(
    s3: S3StandIn, sts: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free.getsockname()[1]}")
        async with opened() as images:
            assert "STS: Could not connect" in await hold(images)


@pytest.mark.parametrize("kind", ["missing", "folder"])
async def test_a_token_file_that_cannot_be_read_is_a_hold(
    kind: str, s3: S3StandIn, sts: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is named, and read again for the next fetch."""
    file = tmp_path / "projected"
    if kind == "folder":
        file.mkdir()
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    async with opened() as images:
        assert str(file) in await hold(images)
        if kind == "folder":
            file.rmdir()
        file.write_text("a token")
        sts.answers.append(granted())
        assert await images.fetch(PHOTO) == b"photo"


async def test_refused_credentials_are_asked_for_anew(s3: S3StandIn, sts: Receiver) -> None:
    """What S3 calls expired is not used again, whatever its date of expiry says."""
    sts.answers.extend([granted("ASIA1"), granted("ASIA2")])
    s3.answers.append(reply(400, error("ExpiredToken")))
    async with opened() as images:
        assert "ExpiredToken" in await hold(images)
        assert await images.fetch(PHOTO) == b"photo"
    keys = [request.headers["Authorization"].split("/")[0] for request in s3.requests]
    assert [key.rpartition("=")[2] for key in keys] == ["ASIA1", "ASIA2"]


async def test_many_fetches_ask_the_chain_once(s3: S3StandIn, sts: Receiver) -> None:
    """One thread asks for all of them."""
    sts.answers.append(granted())
    async with opened() as images:
        await asyncio.gather(*(images.fetch(PHOTO) for _ in range(8)))
    assert len(sts.requests) == 1


async def test_no_proxy_is_asked_for_sts(
    s3: S3StandIn, sts: Receiver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token that STS takes is as good as a key."""
    monkeypatch.setenv("HTTP_PROXY", receiver.origin)
    monkeypatch.setenv("HTTPS_PROXY", receiver.origin)
    sts.answers.append(granted())
    async with opened() as images:
        assert await images.fetch(PHOTO) == b"photo"
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[default]\ncredential_process = /nowhere/program", "/nowhere/program"),
        ("[default]\ncredential_process = {python} -c 'print(1)'", "AWS profile"),
        ("[default]\ncredential_process = {python} -c 'print(\"no json\")'", "AWS profile"),
        ("[default]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = nobody", "nobody"),
        ("[default]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = default", "AWS profile"),
        ("[default]\nrole_arn = arn:aws:iam::1:role/a\ncredential_source = Moon", "Moon"),
        ("no section", "config"),
    ],
)
async def test_a_profile_that_cannot_work_is_named_at_the_start(
    config: str, says: str, s3: S3StandIn, tmp_path: Path
) -> None:
    """Exit 2 with one sentence, and no traceback."""
    (tmp_path / "config").write_text(config.format(python=sys.executable))
    with pytest.raises(StartError, match=says) as raised:
        async with opened():
            pass
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)


async def test_a_profile_that_is_not_there_is_named_at_the_start(
    s3: S3StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless our settings have keys, in which case it isn't asked."""
    monkeypatch.setenv("AWS_PROFILE", "nobody's")
    with pytest.raises(StartError, match=r"nobody's") as raised:
        async with opened():
            pass
    assert raised.value.exit_code == 2
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with opened() as images:
        assert await images.fetch(PHOTO) == b"photo"


@pytest.mark.parametrize("program", ["import sys; sys.exit('no keys today')", "input()"])
async def test_a_credential_process_that_fails_is_a_hold(
    program: str, s3: S3StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may work the next time; one that hangs is waited for no longer than a fetch may wait."""
    monkeypatch.setattr("consumer.s3.credentials.ASK_SECONDS", 0.5)
    script = tmp_path / "program.py"
    script.write_text(program if "exit" in program else "import time\ntime.sleep(3)")
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}")
    async with opened() as images:
        assert "no credentials for S3" in await hold(images)
    assert s3.requests == []


async def test_nobody_has_credentials(s3: S3StandIn, tmp_path: Path) -> None:
    """A hold, which ends when there are some."""
    async with opened() as images:
        assert "Unable to locate credentials" in await hold(images)
        (tmp_path / "credentials").write_text(
            "[default]\naws_access_key_id = mine\naws_secret_access_key = secret\n"
        )
        assert await images.fetch(PHOTO) == b"photo"
    assert "Credential=mine/" in s3.requests[0].headers["Authorization"]


async def test_a_containers_agent_that_is_away_is_a_hold(
    s3: S3StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes up beside us, perhaps a little later."""
    monkeypatch.setattr("consumer.s3.credentials.ASK_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}/"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
        async with opened() as images:
            assert "no credentials for S3" in await hold(images)


async def test_keys_may_be_files_in_the_folder_of_secrets(
    s3: S3StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every secret may."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "aws_access_key_id").write_text("filed\n")
    (folder / "aws_secret_access_key").write_text("secret\n")
    (folder / "aws_session_token").write_text("token\n")
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    async with opened() as images:
        assert await images.fetch(PHOTO) == b"photo"
    assert "Credential=filed/" in s3.requests[0].headers["Authorization"]
    assert s3.requests[0].headers["X-Amz-Security-Token"] == "token"
