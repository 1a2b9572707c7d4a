"""Signals end the consumer in order, from the first moment on, also as process 1."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from tests.support.bench import Bench

SECONDS = 60.0
AS_PROCESS_1 = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
MODULES = ("consumer", "producer_tools")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("module", MODULES)
def test_a_signal_before_the_imports_ends_process_1(module: str, number: signal.Signals) -> None:
    """The kernel drops a signal that process 1 has no handler for."""
    if not can_be_process_1():
        pytest.skip("this machine lets nobody make a process namespace")
    command = [*AS_PROCESS_1, sys.executable, "-m", module, *(["consume"] * (module != "consumer"))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as unshare:
        try:
            process = child_of(unshare.pid, sys.executable)
            # Python itself has a handler for SIGINT from its start; ours for SIGHUP comes last.
            wait_until(lambda: catches(process.pid, signal.SIGHUP))
            assert not any("onnxruntime" in part.path for part in process.memory_maps())
            process.send_signal(number)
            assert unshare.wait(SECONDS) == 0
        finally:
            unshare.kill()


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


def child_of(parent: int, program: str) -> psutil.Process:
    """Wait for the child that runs the program."""
    found: list[psutil.Process] = []

    def there() -> bool:
        children: Sequence[psutil.Process] = psutil.Process(parent).children()
        found[:] = [child for child in children if child.exe() == os.path.realpath(program)]
        return bool(found)

    wait_until(there)
    return found[0]


def catches(process: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << number - 1)


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.002)
