"""No library of ours looks a name up, connects anywhere or writes a file by being used."""

import os
import pkgutil
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.photos import saved, stripes

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "segmentation", "http_client", "consumer", "producer_tools")
SIGSYS = 31

# Number of the system call, by processor; see `socket(2)` and `connect(2)`.
SOCKET, CONNECT = {"x86_64": (41, 42), "aarch64": (198, 203)}.get(platform.machine(), (0, 0))

# Ends the process at its first connection and its first socket for datagrams, as look-ups need one,
# whichever library it is: seccomp(2).
WATCHED = f"""
import ctypes, importlib, struct, sys

LOAD, AND, JUMP_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
KILL, ALLOW, DATAGRAM = 0x80000000, 0x7FFF0000, 2
program = b"".join(struct.pack("=HBBI", *step) for step in (
    (LOAD, 0, 0, 0),
    (JUMP_EQUAL, 4, 0, {CONNECT}),
    (JUMP_EQUAL, 0, 4, {SOCKET}),
    (LOAD, 0, 0, 24),
    (AND, 0, 0, 15),
    (JUMP_EQUAL, 0, 1, DATAGRAM),
    (RETURN, 0, 0, KILL),
    (RETURN, 0, 0, ALLOW),
))
steps = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("@HP", 8, ctypes.addressof(steps)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0
"""

USED = """
from pathlib import Path

for name in sys.argv[2:]:
    importlib.import_module(name)

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.photo.limits import ImageLimits
from segmentation.segment import segment

catalog = Catalog.load(folder=None, body_model=None, providers=["CPUExecutionProvider"], threads=1)
catalog.warm()
segment(
    Path(sys.argv[1]).read_bytes(),
    model=catalog.model(None),
    outputs=None,
    limits=ImageLimits(max_bytes=1 << 20, max_pixels=1 << 20, formats=frozenset({"PNG"})),
    deadline=Deadline(60),
)
print("used")
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not SOCKET, reason="seccomp is Linux's, with its numbers"
)


@pytest.mark.parametrize("wish", ["", "0"])
def test_nothing_phones_home(wish: str, tmp_path: Path) -> None:
    """All modules imported, a photo segmented: no look-up, no connection, no file."""
    ran = watched(USED, tmp_path, ORT_DISABLE_TELEMETRY=wish)
    assert ran.stdout == "used\n", ran.stderr[-2000:]
    assert ran.returncode == 0
    assert [] == [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "used",
    [
        "import socket; socket.getaddrinfo('maskline.invalid', 80)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_UNIX).connect('/nowhere')",
    ],
)
def test_a_watched_process_ends_where_it_calls(used: str, tmp_path: Path) -> None:
    """The test before would see it."""
    assert watched(used, tmp_path).returncode == -SIGSYS


def watched(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a home of its own, with all our modules' names as arguments."""
    home = folder / "home"
    home.mkdir()
    photo = folder / "photo.png"
    photo.write_bytes(saved(stripes()))
    return subprocess.run(
        [sys.executable, "-c", WATCHED + script, str(photo), *module_names()],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "TMPDIR": str(home),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def module_names() -> list[str]:
    """Give every module of ours but those that run when they are imported."""
    return [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
        if not module.name.endswith("__main__") or module.name == "consumer.__main__"
    ]
