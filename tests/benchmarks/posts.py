"""Processor time of a post of two small masks: `python -m tests.benchmarks.posts`.

The consumer's transport, httpx's own one and httpx's client take turns, against a bare receiver in
a process of its own. Printed are milliseconds of this process for each post.
"""

import asyncio
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from statistics import median

import httpx

from consumer.job.post import MAX_RESPONSE, make_request
from http_client.async_transport import AsyncTransport
from producer_tools.local import ports
from tests.support.receiver import stored

POSTS = 1000
ROUNDS = 5
FILES = {name: os.urandom(4000) for name in ("upper_body_mask", "lower_body_mask")}
FIELDS = {"user_id": "u-42", "job_id": "j-1", "provider": "qwen"}
HEADERS = {"accept": "application/json", "x-internal-auth": "secret"}

Post = Callable[[], Awaitable[None]]


def through(transport: httpx.AsyncBaseTransport, url: str) -> Post:
    """Post as the consumer does, through a transport."""

    async def post() -> None:
        request = make_request(url, headers=HEADERS, fields=FIELDS, files=FILES)
        response = await transport.handle_async_request(request)
        assert await response.aread()
        await response.aclose()

    return post


def by_client(client: httpx.AsyncClient, url: str) -> Post:
    """Post as httpx's documentation does."""
    files = {name: (f"{name}.png", png, "image/png") for name, png in FILES.items()}

    async def post() -> None:
        response = await client.post(url, headers=HEADERS, data=FIELDS, files=files)
        assert response.content

    return post


async def measure(url: str) -> None:
    """Let the contestants take turns, and print their medians."""
    async with AsyncExitStack() as stack:
        tls = ssl.create_default_context()
        ours = await stack.enter_async_context(AsyncTransport(tls=tls, max_response=MAX_RESPONSE))
        theirs = await stack.enter_async_context(httpx.AsyncHTTPTransport(verify=tls))
        client = await stack.enter_async_context(httpx.AsyncClient(verify=tls, trust_env=False))
        contestants = {
            "the consumer's transport": through(ours, url),
            "httpx's transport": through(theirs, url),
            "httpx's client": by_client(client, url),
        }
        spent: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, post in contestants.items():
                begin = time.process_time()
                for _ in range(POSTS):
                    await post()
                spent[name].append((time.process_time() - begin) / POSTS * 1000)
    for name, times in spent.items():
        print(f"{name}: {median(times):.2f} ms ({min(times):.2f} to {max(times):.2f})")


async def receive(port: int) -> None:
    """Be the receiver: read each request, and answer always the same."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                await reader.readexactly(int(length))
                writer.write(stored())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


def main() -> None:
    """Start the receiver, and measure; with a port, be it."""
    if len(sys.argv) > 1:
        asyncio.run(receive(int(sys.argv[1])))
        return
    port = ports.choose("the receiver", setting="")
    with subprocess.Popen([sys.executable, "-m", "tests.benchmarks.posts", str(port)]) as receiver:
        try:
            while not ports.is_open(port):
                time.sleep(0.05)
            asyncio.run(measure(f"http://127.0.0.1:{port}/masks"))
        finally:
            receiver.terminate()


if __name__ == "__main__":
    main()
