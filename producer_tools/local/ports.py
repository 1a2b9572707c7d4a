"""Free TCP ports of this machine."""

import random
import socket

from producer_tools.local.errors import PortTakenError

HOST = "127.0.0.1"

# Below the range that the system uses for outgoing connections (Linux from 32768, macOS from
# 49152). Otherwise an outgoing connection could take the port of a server that restarts.
_CHOICE = range(20_000, 32_000)


def is_open(port: int) -> bool:
    """Return whether a server accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_open(port)


def choose(server: str, wanted: int | None = None, *, setting: str) -> int:
    """Return the wanted port, or if it is None, a free one.

    Args:
        server: Name of the server, for the error's message.
        wanted: The port to use.
        setting: How to choose another port, for the error's message.

    Raises:
        PortTakenError: The wanted port is in use.
    """
    if wanted is None:
        draw = random.SystemRandom()
        return next(port for port in iter(lambda: draw.choice(_CHOICE), None) if is_free(port))
    if not is_free(wanted):
        raise PortTakenError(server, wanted, setting)
    return wanted
