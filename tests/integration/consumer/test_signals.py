"""Signals end the consumer in order, from the first moment on, also as process 1."""

import shutil
import signal
import subprocess
import sys

import pytest

from tests.support.bench import Bench

AS_PROCESS_1 = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
SIGNALLED = """
import os, runpy, sys

module, number = sys.argv[1], int(sys.argv[2])

def at_import(event, arguments):
    if event == "import" and arguments[0] == "typer":
        os.kill(os.getpid(), number)

sys.argv = [module, "consume"] if module == "producer_tools" else [module]
sys.addaudithook(at_import)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""A consumer that gets a signal when it begins with the first of its imports that take long."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("module", ["consumer", "producer_tools"])
def test_a_signal_before_the_imports_ends_process_1(module: str, number: signal.Signals) -> None:
    """The kernel drops a signal that process 1 has no handler for."""
    if not can_be_process_1():
        pytest.skip("this machine lets nobody make a process namespace")
    command = (*AS_PROCESS_1, sys.executable, "-c", SIGNALLED, module, str(int(number)))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_each_of_them_lets_what_is_in_flight_be_settled(
    bench: Bench, number: signal.Signals
) -> None:
    """A hang-up is no reason to do a job twice."""
    bench.stack.mask_assets.misbehave(delay_ms=(2_000, 2_000))
    await bench.submit("slow", bench.put_photo())
    consumer = bench.start()
    await bench.event(lambda event: event["state"] == "processing")
    consumer.signal(number)
    assert await consumer.exit_code() == 0
    assert [event["state"] for event in await bench.terminal_events(1)] == ["completed"]


def can_be_process_1() -> bool:
    """Whether a child may be process 1 of a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, check=False).returncode == 0
