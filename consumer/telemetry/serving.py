"""Serves HTTP by uvicorn without its signal handlers, which are the program's."""

import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from consumer.errors import StartError


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """Open the port that a setting names: uvicorn would end the process on one that is taken.

    Raises:
        StartError: it can't be opened.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be opened: {error}"
        raise StartError(f"{setting}={port} on HOST={host} {why}", exit_code=3) from error
    # Connections inherit it. asyncio sets it on sockets that name their protocol, as these don't;
    # without it a body waits up to 40 ms for the caller to acknowledge the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return listening


@asynccontextmanager
async def served(
    app: Any, listening: socket.socket, *, stop_seconds: int, options: Mapping[str, Any]
) -> AsyncIterator[uvicorn.Server]:
    """Answer while the block lasts; then let requests end within `stop_seconds`.

    `options` are uvicorn's, on how connections are served.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=stop_seconds,
        **options,
    )
    config.load()
    # The parts of `Server.serve()` without its signal handlers.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    try:
        yield server
    finally:
        await server.shutdown(sockets=[listening])
