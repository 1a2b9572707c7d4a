"""Whatever happens, nothing of the local stack is left running."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from producer_tools.local.child import Child
from producer_tools.local.errors import DiedAtStartError, NotReadyError
from producer_tools.local.s3.process import S3
from producer_tools.local.stack import LocalStack

pytestmark = pytest.mark.integration

# Starts a stack in a folder, prints a line, and waits to be ended.
_OWNER = """
import signal, sys
from pathlib import Path
from producer_tools.local.stack import LocalStack

with LocalStack(folder=Path(sys.argv[1])) as stack:
    print("ready", flush=True)
    signal.pause()
"""


def belonging_to(folder: Path) -> list[psutil.Process]:
    """The processes whose command, environment or open log names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            files = [file.path for file in process.open_files()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words + files):
            found.append(process)
    return found


def eventually(holds: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Wait for something to hold, and return whether it came to."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program with a running stack in `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "ready\n"
            yield program
        finally:
            program.kill()


def test_nothing_outlives_an_owner_that_is_killed(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    """After SIGKILL nothing is stopped in order, and a paused broker couldn't end by itself."""
    children = [process for process in belonging_to(tmp_path) if process.pid != owner.pid]
    [broker] = [child for child in children if "java" in child.name()]
    assert len(children) >= 3
    broker.suspend()
    owner.kill()
    assert eventually(lambda: not belonging_to(tmp_path))


def test_ctrl_c_stops_everything_in_order(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    """By the time the owner has ended, its children have."""
    owner.send_signal(signal.SIGINT)
    owner.wait(60)
    assert belonging_to(tmp_path) == []


def test_a_failure_midway_ends_what_had_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka and S3 run already when the mask-asset service can't start."""
    stack = LocalStack(folder=tmp_path)
    monkeypatch.setattr(stack.mask_assets, "command", lambda **_: ("false",))
    with pytest.raises(DiedAtStartError, match="Mask-asset service"), stack:
        pass
    assert belonging_to(tmp_path) == []


def test_temporary_folders_are_removed() -> None:
    """A clean end leaves neither process nor folder."""
    with S3() as s3:
        folder = s3.folder
        assert belonging_to(folder) != []
    assert not folder.exists()
    assert belonging_to(folder) == []


def test_a_killed_owners_temporary_folder_is_removed(tmp_path: Path) -> None:
    """The watchdog removes it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = f"""
import os, signal
from pathlib import Path
from producer_tools.local.child import Child
folder = Path({str(tmp_path)!r})
child = Child("Thing", ("sleep", "60"), log=folder / "log", scratch=folder / "scratch")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert eventually(lambda: not scratch.exists() and not belonging_to(tmp_path))


def test_the_environment_is_the_consumers(stack: LocalStack) -> None:
    """Every address in docs/operating.md that a consumer needs is there, and answers."""
    environment = stack.environment()
    assert environment.keys() == {
        "KAFKA_BOOTSTRAP_SERVERS",
        "S3_ENDPOINT_URL",
        "S3_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "UPLOAD_BUCKET",
        "MASK_ASSET_URL",
        "MASK_COMPONENT_SECRET",
    }
    host, _, port = environment["KAFKA_BOOTSTRAP_SERVERS"].partition(":")
    socket.create_connection((host, int(port))).close()


def test_a_program_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    """The end of the log is in the message."""
    child = Child("Thing", ("sh", "-c", "echo no such luck; exit 3"), log=tmp_path / "log")
    with pytest.raises(DiedAtStartError, match=r"(?s)exit status 3.*no such luck"):
        child.wait_until(lambda: False, seconds=10)
    child.kill()


def test_a_program_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """The message has the seconds of the wait."""
    child = Child("Thing", ("sleep", "60"), log=tmp_path / "log")
    with pytest.raises(NotReadyError, match=r"within 0\.1 s"):
        child.wait_until(lambda: False, seconds=0.1)
    child.kill()


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stopping takes no longer than it may."""
    log = tmp_path / "log"
    child = Child("Thing", ("sh", "-c", "trap '' TERM; echo up; while :; do :; done"), log=log)
    child.wait_until(lambda: "up" in child.log_tail(), seconds=10)
    child.stop(seconds=0.2)
    assert not child.running
