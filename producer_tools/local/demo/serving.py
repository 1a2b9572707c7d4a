"""Leaves the demo's stack and consumer running, with a gateway in front of them."""

import signal
from pathlib import Path

from producer_tools.cli.output import print_message
from producer_tools.local import ports
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack

_PORT = 8003
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_gateway(stack: LocalStack, *, folder: Path) -> None:
    """Start a gateway, print its address, and wait for Ctrl-C or SIGTERM.

    Raises:
        LocalStackError: The gateway can't start.
    """
    port = _PORT if ports.is_free(_PORT) else None
    with GatewayProcess(stack.environment(), port=port, folder=folder.absolute()) as gateway:
        print_message(f"The gateway answers at {gateway.url}")
        print_message("Ctrl-C ends it, and all else.")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            signal.sigwait(_ENDING)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    print_message("Stopped.")
