"""Receivers that don't read, answer early, twice or without end, and what the line does then."""

import asyncio
import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import psutil
import pytest

from consumer.errors import JobFailed
from http_client.async_transport import REST_SECONDS
from tests.support.opened_callback import MASKS, OpenedCallback, open_callback
from tests.support.raw_server import (
    Behaviour,
    RawServer,
    never_read,
    read_head,
    read_request,
    send_all,
)
from tests.support.receiver import STORED, reply, stored

Opens = Callable[..., AbstractAsyncContextManager[OpenedCallback]]
LARGE = {"cutout": bytes(16 << 20)}
LARGE_STORED = reply(200, b'{"status": "success", "stored_keys": {"cutout": "minio://c.png"}}')


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Open a callback to a raw server."""
    return lambda server, **settings: open_callback(
        monkeypatch, f"{server.origin}/masks", **settings
    )


def descriptors(server: RawServer) -> int:
    """Count this process's open descriptors, without the server's ends of connections."""
    return psutil.Process().num_fds() - len(server.still_open())


async def back_to(before: int, server: RawServer) -> None:
    """Return once no more descriptors are open than before: a socket closes a turn later."""
    async with asyncio.timeout(10):
        while descriptors(server) > before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def resident_bytes() -> int:
    """Tell this process's memory."""
    return psutil.Process().memory_info().rss


# Connections that must not be kept.


async def test_posts_to_a_receiver_that_never_reads_leave_nothing_behind(line: Opens) -> None:
    """Their sockets and their 16 MB bodies go back with the try."""
    with RawServer(never_read) as server:
        origins = {"callback_allowed_origins": server.origin, "callback_budget_seconds": 0.5}
        async with line(server, **origins) as opened:

            async def give_up() -> None:
                with suppress(JobFailed):  # pytest.raises would keep its frames
                    await opened.post(files=LARGE, callback_url=f"{server.origin}/own")

            with pytest.raises(JobFailed, match="no answer in"):
                await opened.post(files=LARGE, callback_url=f"{server.origin}/own")
            before, memory = descriptors(server), resident_bytes()
            for _ in range(5):
                await asyncio.gather(*(give_up() for _ in range(8)))
            await back_to(before, server)
            assert resident_bytes() - memory < 16 * len(LARGE["cutout"]), "of 40"


async def test_a_job_that_is_cancelled_leaves_nothing_behind(line: Opens) -> None:
    """In the middle of a body."""
    with RawServer(never_read) as server:
        async with line(server, callback_timeout_seconds=60) as opened:
            before = descriptors(server)
            posts = [asyncio.create_task(opened.post(files=LARGE)) for _ in range(8)]
            await asyncio.to_thread(server.wait_for, 8)
            for post in posts:
                post.cancel()
            await asyncio.gather(*posts, return_exceptions=True)
            await back_to(before, server)


def refuse_and_close(line: socket.socket, server: RawServer) -> None:
    """Refuse a body by its head, and close: what wasn't read makes that a reset."""
    read_head(line)
    line.sendall(reply(413, b"too large", connection="close"))


def refuse_and_wait(line: socket.socket, server: RawServer) -> None:
    """Refuse a body by its head; neither read it nor close."""
    read_head(line)
    line.sendall(reply(413, b"too large"))
    server.closed.wait(60)


def refuse_after_continue(line: socket.socket, server: RawServer) -> None:
    """Ask for the body, and refuse it then."""
    read_head(line)
    line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    line.recv(1 << 16)
    refuse = reply(413, b"too large")
    line.sendall(refuse[:9])
    line.sendall(refuse[9:])
    server.closed.wait(60)


def refuse_and_read(line: socket.socket, server: RawServer) -> None:
    """Refuse a body by its head, and read it all the same."""
    read_head(line)
    line.sendall(reply(413, b"too large"))
    while line.recv(1 << 20):
        pass


@pytest.mark.parametrize(
    "behaviour", [refuse_and_close, refuse_and_wait, refuse_after_continue, refuse_and_read]
)
async def test_an_early_refusal_of_a_large_body_is_a_refusal(
    behaviour: Behaviour, line: Opens
) -> None:
    """Its answer counts, the rest of the body is not sent, and the connection isn't used again."""
    with RawServer(behaviour) as server:
        async with line(server) as opened:
            for posts in (1, 2):
                with pytest.raises(JobFailed, match="answered 413: too large") as raised:
                    await opened.post(files=LARGE)
                assert raised.value.code == "callback_rejected"
                # A close that comes just while we send hides one answer in fifty: it's asked again.
                hidden = len(opened.retries)
                assert hidden == 0 or behaviour is refuse_and_close
                assert server.connections == posts + hidden


def go_on_and_read_slowly(line: socket.socket, server: RawServer) -> None:
    """Say that it goes on, several times, and read what a slow network brings."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    head = read_head(line)
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    line.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
    while length > 0:
        length -= len(line.recv(1 << 16))
    line.sendall(LARGE_STORED)


async def test_a_receiver_that_only_says_go_on_gets_the_whole_body(line: Opens) -> None:
    """`100 Continue` and `102 Processing` are no answers."""
    with RawServer(go_on_and_read_slowly) as server:
        async with line(server, callback_timeout_seconds=60) as opened:
            assert await opened.post(files=LARGE) == {"cutout": "minio://c.png"}
            assert opened.retries == []


def other(number: int) -> bytes:
    """An answer that can be told from others."""
    keys = {name: f"minio://{number}/{name}" for name in MASKS}
    return reply(200, json.dumps({"status": "success", "stored_keys": keys}).encode())


def chunked(number: int, *, trailer: bytes = b"") -> bytes:
    """The same, in chunks."""
    body = other(number).partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    parts = (body[:10], body[10:])
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head + chunks + b"0\r\n" + trailer + b"\r\n"


def answer_twice(make: Callable[[int], bytes], *cuts: int, late: float = 0) -> Behaviour:
    """Answer each request rightly, and then once more with nonsense, sent in pieces."""

    def behaviour(line: socket.socket, server: RawServer) -> None:
        number = server.connections
        while True:
            read_request(line)
            both = make(number) + make(666)
            for begin, end in zip((0, *cuts), (*cuts, len(both)), strict=True):
                line.sendall(both[begin:end])
                time.sleep(late)

    return behaviour


@pytest.mark.parametrize("make", [other, chunked, lambda n: chunked(n, trailer=b"a: b\r\n")])
@pytest.mark.parametrize("cuts", [(), (20,), (-20,), (-150, -100)])
async def test_a_second_answer_is_no_other_jobs(
    make: Callable[[int], bytes], cuts: tuple[int, ...], line: Opens
) -> None:
    """The connection on which more came than was asked for is closed; nothing is tried twice."""
    with RawServer(answer_twice(make, *cuts)) as server:
        async with line(server) as opened:
            for number in (1, 2, 3):
                keys = await opened.post()
                assert {f"minio://{number}/{name}" for name in MASKS} == set(keys.values())
            assert opened.retries == []


@pytest.mark.parametrize("pause", [0, REST_SECONDS])
async def test_a_second_answer_that_comes_late_is_no_other_jobs(pause: float, line: Opens) -> None:
    """A connection rests before it is used again: meanwhile more may come."""
    whole = len(other(1))
    with RawServer(answer_twice(other, whole, late=REST_SECONDS / 2)) as server:
        async with line(server) as opened:
            for number in (1, 2, 3, 4):
                keys = await opened.post()
                assert {f"minio://{number}/{name}" for name in MASKS} == set(keys.values())
                await asyncio.sleep(pause)


async def test_no_connection_is_kept_to_a_receiver_that_has_said_too_much(line: Opens) -> None:
    """The next time its second answer may come later than we wait."""

    def behaviour(line: socket.socket, server: RawServer) -> None:
        number = server.connections
        read_request(line)
        line.sendall(other(number) + (other(666) if number == 1 else b""))
        while True:
            read_request(line)
            line.sendall(other(666))

    with RawServer(behaviour) as server:
        async with line(server) as opened:
            for number in (1, 2, 3):
                keys = await opened.post()
                assert {f"minio://{number}/{name}" for name in MASKS} == set(keys.values())
                await asyncio.sleep(1.5 * REST_SECONDS)


def speak_first(line: socket.socket, server: RawServer) -> None:
    """Answer before there is a request, and again when there is one."""
    if server.connections == 1:
        line.sendall(other(666) + other(667))
    while True:
        read_request(line)
        line.sendall(other(server.connections))


async def test_what_came_before_the_request_is_no_answer_to_the_next(line: Opens) -> None:
    """Whatever the first post made of it, the second has its own."""
    with RawServer(speak_first) as server:
        async with line(server) as opened:
            await opened.post()
            keys = await opened.post()
            assert {f"minio://2/{name}" for name in MASKS} == set(keys.values())


async def test_a_good_connection_is_kept(line: Opens) -> None:
    """With chunks, too, and where the answer comes in small pieces."""
    for answer in (stored(), chunked(1), chunked(1, trailer=b"a: b\r\n")):
        pieces = [answer[at : at + 7] for at in range(0, len(answer), 7)]
        with RawServer(send_all(*pieces)) as server:
            async with line(server) as opened:
                for _ in range(3):
                    await opened.post()
                    await asyncio.sleep(1.5 * REST_SECONDS)
                assert server.connections == 1


# Answers without measure.


@pytest.mark.parametrize("pieces", [1, 2, 1000])
@pytest.mark.parametrize(("size", "passes"), [(20_000, True), (60_000, True), (70_000, False)])
async def test_a_long_head_passes_by_its_length_alone(
    size: int, passes: bool, pieces: int, line: Opens
) -> None:
    """However it is cut."""
    answer = stored().replace(b"\r\n", b"\r\nx-long: " + b"a" * size + b"\r\n", 1)
    step = -(-len(answer) // pieces)
    cut = [answer[at : at + step] for at in range(0, len(answer), step)]
    with RawServer(send_all(*cut, pause=0.1 if pieces == 2 else 0)) as server:
        settings = {"callback_allowed_origins": server.origin, "callback_budget_seconds": 0.5}
        async with line(server, **settings) as opened:
            post = opened.post(callback_url=f"{server.origin}/own")
            if passes:
                assert await post == STORED
            else:
                with pytest.raises(JobFailed, match="head has more than 65536 bytes"):
                    await post


GZIP = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def without_end(begin: bytes, again: bytes) -> Behaviour:
    """Send the same for ever."""

    def behaviour(line: socket.socket, server: RawServer) -> None:
        read_request(line)
        line.sendall(begin)
        while not server.closed.is_set():
            line.sendall(again * (60_000 // len(again)))

    return behaviour


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (HEAD, b"1\r\n \r\n"),
        (HEAD, b"1000\r\n" + b" " * 4096 + b"\r\n"),
        (HEAD, b"1;a=b\r\n \r\n"),
        (HEAD + b"0\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(bytes(1 << 24)),
            b" ",
        ),
    ],
)
async def test_an_answer_without_end_stalls_nobody(begin: bytes, again: bytes, line: Opens) -> None:
    """It is cut, and while it comes the loop has its turns: 50 ms of processor time at most."""
    with RawServer(without_end(begin, again)) as server:
        settings = {"callback_allowed_origins": server.origin, "callback_budget_seconds": 10}
        async with line(server, **settings) as opened:
            watch = asyncio.create_task(longest_step())
            with pytest.raises(JobFailed):
                await opened.post(callback_url=f"{server.origin}/own")
            watch.cancel()
            assert await watch < 0.05


async def longest_step() -> float:
    """Measure the loop's longest step until cancelled, in seconds of this thread's work."""
    longest, last = 0.0, time.thread_time()
    try:
        while True:
            await asyncio.sleep(0)
            longest, last = max(longest, time.thread_time() - last), time.thread_time()
    except asyncio.CancelledError:
        return longest


async def test_a_drip_of_answers_ends_with_the_try(line: Opens) -> None:
    """Each byte comes in time, the whole doesn't."""

    def drip(line: socket.socket, server: RawServer) -> None:
        read_request(line)
        while not server.closed.wait(0.02):
            line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with RawServer(drip) as server:
        settings = {"callback_allowed_origins": server.origin, "callback_budget_seconds": 0.2}
        async with line(server, callback_timeout_seconds=0.1, **settings) as opened:
            with pytest.raises(JobFailed, match=r"no answer in 0\.1 s"):
                await opened.post(callback_url=f"{server.origin}/own")


# Answers that say that the masks are stored.


def said(more: bytes) -> bytes:
    """The success, and more fields before it."""
    return b'{%s, "status": "success", "stored_keys": %s}' % (more, json.dumps(STORED).encode())


def packed(body: bytes, encoding: str) -> bytes:
    """An answer with a packed body, though nobody asked for that."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    return reply(200, pack(body), content_encoding=encoding)


ODD_FIELDS = {
    "nan": b'"a": NaN, "b": -Infinity',
    "large": b'"a": 1e999, "b": -1e999',
    "long": b'"a": ' + b"9" * 5000,
    "twice": b'"a": 1, "a": 2',
    "half": rb'"a": "\ud800", "\udfff": 1',
    "latin-1": b'"a": "\xe4\xf6"',
    "deep": b'"a": ' + b"[" * 2000 + b"]" * 2000,
    "deeper": b'"a": ' + b'{"]": [' * 10_000 + b"]}" * 10_000,
    "many": b", ".join(b'"f%d": {}' % number for number in range(2000)),
    "long text": b'"a": "' + b"x" * 50_000 + b'"',
}


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(200, said(field)) for field in ODD_FIELDS.values()),
        reply(200, b"\xef\xbb\xbf" + said(b'"a": 1')),
        reply(201, said(b'"a": 1')),
        reply(200, said(b'"a": 1'), content_type="text/html"),
        packed(said(b'"a": 1'), "gzip"),
        packed(said(b'"a": 1'), "deflate"),
        reply(200, json.dumps({"status": "success", "stored_keys": {
            **STORED, "thumbnail": None, **{f"k{n}": {"v": [n]} for n in range(100)}
        }}).encode()),
    ],
    ids=[*ODD_FIELDS, "bom", "201", "html", "gzip", "deflate", "keys"],
)  # fmt: skip
async def test_what_else_a_success_holds_does_not_matter(answer: bytes, line: Opens) -> None:
    """The masks are stored, and the receiver has said where."""
    with RawServer(send_all(answer)) as server:
        async with line(server) as opened:
            assert await opened.post() == STORED


@pytest.mark.parametrize("length", [4097, 100_000])
async def test_a_stored_key_may_be_long(length: int, line: Opens) -> None:
    """A signed URL, for example."""
    keys = dict.fromkeys(MASKS, "x" * length)
    body = json.dumps({"status": "success", "stored_keys": keys}).encode()
    with RawServer(send_all(reply(200, body))) as server:
        async with line(server) as opened:
            assert await opened.post() == keys


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"upper_body_mask": "k"}, "stored_keys has no lower_body_mask"),
        ({}, "stored_keys has no upper_body_mask, lower_body_mask"),
        ({**STORED, "lower_body_mask": ""}, "lower_body_mask"),
        ({**STORED, "lower_body_mask": None}, "lower_body_mask"),
        ({**STORED, "lower_body_mask": ["k"]}, "lower_body_mask"),
        ({**STORED, "lower_body_mask": "\ud800"}, "lower_body_mask"),
        (list(STORED), "stored_keys"),
    ],
)
async def test_a_file_without_a_stored_key_is_a_refusal(
    keys: object, says: str, line: Opens
) -> None:
    """Nobody would find that mask again."""
    body = json.dumps({"status": "success", "stored_keys": keys}).encode()
    with RawServer(send_all(reply(200, body))) as server:
        async with line(server) as opened:
            with pytest.raises(JobFailed, match=says) as raised:
                await opened.post()
            assert raised.value.code == "callback_rejected"


async def test_identity_is_asked_for(line: Opens) -> None:
    """Nothing is packed that need be unpacked."""
    heads: list[bytes] = []

    def note(line: socket.socket, server: RawServer) -> None:
        heads.append(read_head(line))
        line.sendall(stored())
        server.closed.wait(60)

    with RawServer(note) as server:
        async with line(server) as opened:
            await opened.post()
    assert b"\r\naccept-encoding: identity\r\n" in heads[0].lower()
