"""Ports of this machine."""

import random
import socket

from producer_tools.local.errors import PortTakenError

HOST = "127.0.0.1"

# Below the range that the systems hand out to outgoing connections (Linux from 32768, macOS from
# 49152): a port that we free for a restart must not become the end of somebody's connection.
_CHOICE = range(20_000, 32_000)


def is_open(port: int) -> bool:
    """Say whether something accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_open(port)


def choose(part: str, wanted: int | None = None, *, setting: str) -> int:
    """Give the wanted port, or one that is free when none is wanted.

    Raises:
        PortTakenError: the wanted port is in use.
    """
    if wanted is None:
        draw = random.SystemRandom()
        return next(port for port in iter(lambda: draw.choice(_CHOICE), None) if is_free(port))
    if not is_free(wanted):
        raise PortTakenError(part, wanted, setting)
    return wanted
