import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from consumer.errors import JobFailed, StartError
from consumer.job.callback import BACKOFF, RETRIES, Callback
from consumer.job.holds import Holds
from consumer.job.post import MAX_RESPONSE
from consumer.settings import CallbackSettings, load
from consumer.telemetry.metrics import Metrics
from http_client.async_transport import REST_SECONDS
from tests.support.opened_callback import LOWER, SECRET, UPPER, open_callback
from tests.support.receiver import (
    STORED,
    Behaviour,
    Receiver,
    drip,
    hang_up,
    reply,
    reset,
    silence,
    stop_halfway,
    stored,
)

Opens = Callable[..., Any]


@pytest.fixture
def line(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Open a callback to the receiver's /masks, or to another `url`."""

    def opens(*, url: str = "", origins: str = "", timeout: float = 5) -> Any:
        return open_callback(
            monkeypatch,
            url or f"{receiver.origin}/masks",
            callback_allowed_origins=origins,
            callback_timeout_seconds=timeout,
        )

    return opens


async def failure(awaitable: Awaitable[object]) -> JobFailed:
    """Await what must fail."""
    with pytest.raises(JobFailed) as raised:
        await awaitable
    assert raised.value.stage == "callback"
    return raised.value


async def test_masks_arrive_in_the_documented_form(receiver: Receiver, line: Opens) -> None:
    """The form, the headers and the answer are those of docs/messages.md."""
    async with line() as opened:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert await opened.post(traceparent=trace, user_id='ü"\r\n--x') == STORED

    (request,) = receiver.requests
    assert request.target == "/masks"
    assert request.headers["X-Internal-Auth"] == SECRET
    assert request.headers["Idempotency-Key"] == "j-1/mask.jobs/0/17"
    assert trace == request.headers["traceparent"]
    assert {
        "user_id": (None, "text/plain", 'ü"\r\n--x'.encode()),
        "job_id": (None, "text/plain", b"j-1"),
        "provider": (None, "text/plain", b"qwen"),
        "upper_body_mask": ("upper_body_mask.png", "image/png", UPPER),
        "lower_body_mask": ("lower_body_mask.png", "image/png", LOWER),
    } == request.form()


@pytest.mark.parametrize(
    "trouble",
    [
        *(reply(status) for status in (408, 425, 429, 500, 502, 503, 504, 507)),
        b"this is not HTTP\r\n\r\n",
        hang_up,
        reset,
        stop_halfway,
    ],
)
async def test_a_receiver_in_trouble_is_asked_again(
    trouble: bytes | Behaviour, receiver: Receiver, line: Opens
) -> None:
    """The second try brings the same bytes under the same key."""
    receiver.answers.append(trouble)
    async with line() as opened:
        assert await opened.post() == STORED
        assert opened.slept == [1.0]
        assert opened.retries[0][2] == [], "a retry isn't a hold"
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


@pytest.mark.parametrize("trouble", [silence, drip])
async def test_a_try_ends_after_callback_timeout_seconds(
    trouble: Behaviour, receiver: Receiver, line: Opens
) -> None:
    """A receiver that answers nothing, or too slowly, is in trouble."""
    receiver.answers.append(trouble)
    async with line(timeout=0.1) as opened:
        assert await opened.post() == STORED
        assert "no answer in 0.1 s" in opened.retries[0][0]


async def test_a_refused_connection_is_named(line: Opens) -> None:
    """The reason names the setting and the place, and not the path or the secret."""
    async with line(url="http://127.0.0.1:1/masks?token=x") as opened:
        post = asyncio.create_task(opened.post())
        await opened.held.wait()
        (reason,) = opened.holds.reasons()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        assert opened.holds.reasons() == []
    assert reason.startswith("callback_unavailable: MASK_ASSET_URL (http://127.0.0.1:1) gave no")
    assert "token" not in reason


async def test_after_five_retries_the_line_holds(receiver: Receiver, line: Opens) -> None:
    """`MASK_ASSET_URL` is asked for as long as it lasts; the hold ends with its success."""
    receiver.answers.extend([reply(503)] * 9)
    async with line() as opened:
        assert await opened.post() == STORED
        assert [BACKOFF.delay(retries) for retries in range(RETRIES)] == opened.slept
        assert [bool(held) for _, _, held in opened.retries] == [False] * 5 + [True] * 4
        assert opened.holds.reasons() == []
        assert len(receiver.requests) == 10
        assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1
        tries = opened.metrics.callback_tries
        assert tries.labels("unavailable")._value.get() == 9
        assert tries.labels("stored")._value.get() == 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("99999999", 300.0),
        ("soon", 1.0),
        ("-5", 1.0),
        ("9" * 5000, 300.0),
        ("Mon, 99 Foo 9999 00:00:00 +99999999", 1.0),
    ],
)
async def test_retry_after_lengthens_a_wait(
    asked: str, expected: float, receiver: Receiver, line: Opens
) -> None:
    """Never shortens it, never by more than five minutes, whatever its value."""
    receiver.answers.append(reply(503, retry_after=asked))
    async with line() as opened:
        await opened.post()
        assert [expected] == opened.slept


async def test_retry_after_may_be_a_date(receiver: Receiver, line: Opens) -> None:
    """An HTTP date is a wait until then."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    receiver.answers.append(reply(429, retry_after=until))
    async with line() as opened:
        await opened.post()
        assert 57 < opened.slept[0] <= 60


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        (401, "MASK_COMPONENT_SECRET"),
        (403, "MASK_COMPONENT_SECRET"),
        (404, "MASK_ASSET_URL"),
        (405, "MASK_ASSET_URL"),
    ],
)
async def test_a_wrong_setting_holds_at_once(
    status: int, setting: str, receiver: Receiver, line: Opens
) -> None:
    """No five retries, no dead letter; the reason names what to mend, an echo of it hidden."""
    receiver.answers.append(reply(status, f"bad secret {SECRET}".encode()))
    async with line() as opened:
        assert await opened.post() == STORED
        ((words, _, held),) = opened.retries
        assert opened.slept == []
    assert [f"callback_unavailable: {words}".replace(": bad secret ***", "…")] == held
    assert f"is {setting} right?" in words
    assert "bad secret ***" in words
    assert SECRET not in words


@pytest.mark.parametrize(
    "answer",
    [
        reply(400, b"no such user"),
        reply(409),
        reply(413),
        reply(422, b"masks are empty"),
        reply(302, location="/elsewhere"),
        reply(307, location="/elsewhere"),
        reply(204),
        reply(200, b"<html>ok</html>"),
        reply(200, b'{"status": "failure", "stored_keys": {}}'),
        reply(200, b'{"status": "success"}'),
        reply(200, b'{"status": "success", "stored_keys": {"upper_body_mask": 7}}'),
        reply(200, b"[" * 60_000),
        reply(200, stored()[-100:] + b" " * MAX_RESPONSE),
    ],
)
async def test_any_other_answer_refuses_the_masks(
    answer: bytes, receiver: Receiver, line: Opens
) -> None:
    """The job fails at once with the receiver's answer, and the next one is served."""
    receiver.answers.append(answer)
    async with line() as opened:
        error = await failure(opened.post())
        assert error.code == "callback_rejected"
        assert f"answered {answer.split()[1].decode()}" in str(error)
        assert len(str(error)) < 1000
        assert opened.retries == []
        assert await opened.post() == STORED
    assert len(receiver.requests) == 2, "a redirect is not followed"


async def test_an_endless_answer_is_cut(receiver: Receiver, line: Opens) -> None:
    """No more is read of an answer than an answer can need."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await writer.drain()

    receiver.answers.append(endless)
    async with line() as opened:
        assert f"more than {MAX_RESPONSE} bytes" in str(await failure(opened.post()))


async def test_a_refusal_hides_an_echo_of_the_secret(receiver: Receiver, line: Opens) -> None:
    """An endpoint that shows the request's headers doesn't get our secret into an event."""
    echo = json.dumps({"status": SECRET, "stored_keys": {}}).encode()
    receiver.answers.append(reply(200, echo))
    async with line() as opened:
        assert SECRET not in str(await failure(opened.post()))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 422])
async def test_a_jobs_own_callback_that_refuses_fails_the_job(
    status: int, receiver: Receiver, line: Opens
) -> None:
    """One customer's endpoint never stops the line."""
    receiver.answers.append(reply(status))
    async with line(url="http://127.0.0.1:1/masks", origins=receiver.origin) as opened:
        error = await failure(opened.post(callback_url=f"{receiver.origin}/own?x=1"))
        assert error.code == "callback_rejected"
        assert opened.retries == []
    assert receiver.requests[0].target == "/own?x=1"
    assert receiver.requests[0].headers["X-Internal-Auth"] == SECRET


async def test_a_jobs_own_callback_that_is_down_fails_the_job(
    receiver: Receiver, line: Opens
) -> None:
    """After the five retries, and without a hold."""
    receiver.answers.extend([reply(503)] * 6)
    async with line(url="http://127.0.0.1:1/masks", origins=receiver.origin) as opened:
        error = await failure(opened.post(callback_url=f"{receiver.origin}/own"))
        assert error.code == "callback_unavailable"
        assert [BACKOFF.delay(retries) for retries in range(RETRIES)] == opened.slept
        assert not any(held for _, _, held in opened.retries)


async def test_the_mask_asset_url_is_itself_also_in_a_job(receiver: Receiver, line: Opens) -> None:
    """A `callback_url` that equals `MASK_ASSET_URL` holds as that does."""
    receiver.answers.append(reply(401))
    async with line() as opened:
        assert await opened.post(callback_url=f"{receiver.origin}/masks") == STORED
        assert len(opened.retries) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example/masks",
        "https://good.example:443/masks?x=1",
        "HTTPS://GOOD.example/masks",
        "http://localhost:8080",
    ],
)
async def test_an_allowed_origin_may_be_called(url: str, line: Opens) -> None:
    """However it is spelled."""
    async with line(origins="https://Good.Example, http://localhost:8080/") as opened:
        opened.callback.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example/",
        "https://good.example:444/",
        "https://good.example.evil.example/",
        "https://evilgood.example/",
        "https://good.example@evil.example/",
        "https://user:password@good.example/",
        "https://evil.example/https://good.example/",
        "https://evil.example#@good.example/",
        "https://evil.example\\@good.example/",
        "https://good.example\\.evil.example/",
        "//good.example/",
        "good.example",
        "file:///etc/passwd",
        "https://",
        "https://good.example:99999/",
        "https://good\n.example/",
        "",
    ],
)
async def test_any_other_origin_is_forbidden(url: str, receiver: Receiver, line: Opens) -> None:
    """Neither checked in advance nor posted to does it see the secret."""
    async with line(origins="https://good.example") as opened:
        with pytest.raises(JobFailed) as raised:
            opened.callback.check(url)
        assert raised.value.code == "callback_forbidden"
        assert (await failure(opened.post(callback_url=url))).code == "callback_forbidden"
    assert receiver.requests == []


async def test_connections_are_used_again(receiver: Receiver, line: Opens) -> None:
    """As many connections as posts at once, not as posts; a broken one is replaced."""
    async with line() as opened:
        for _ in range(3):
            await asyncio.gather(*(opened.post() for _ in range(4)))
            await asyncio.sleep(1.5 * REST_SECONDS)
        assert receiver.connections == 4
        receiver.answers.append(reset)
        await opened.post()
        await asyncio.sleep(1.5 * REST_SECONDS)
        await asyncio.gather(*(opened.post() for _ in range(4)))
        assert receiver.connections <= 5


async def test_cookies_are_not_kept(receiver: Receiver, line: Opens) -> None:
    """What one job's receiver sets, the next job's never sees."""
    receiver.answers.append(stored().replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\n\r\n", 1))
    async with line() as opened:
        await opened.post()
        await opened.post()
    assert receiver.requests[1].headers["Cookie"] is None


async def test_no_proxy_of_the_environment_sees_the_secret(
    receiver: Receiver, line: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP_PROXY` is for others."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with line() as opened:
        assert await opened.post() == STORED


@pytest.mark.parametrize("secret", ["two\nlines", " spaces ", "nul\0"])
def test_a_secret_that_no_header_carries_is_a_bad_setting(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found at the start, and not by failing every job."""
    if "\0" in secret:
        monkeypatch.setattr("os.environ", {"MASK_COMPONENT_SECRET": secret})
    else:
        monkeypatch.setenv("MASK_COMPONENT_SECRET", secret)
    monkeypatch.setenv("MASK_ASSET_URL", "http://127.0.0.1:1/")
    metrics = Metrics()
    with pytest.raises(StartError, match="MASK_COMPONENT_SECRET") as raised:
        Callback(load(CallbackSettings), holds=Holds(metrics=metrics), metrics=metrics)
    assert raised.value.exit_code == 2
    assert secret not in str(raised.value)
