"""Threads share malloc's arenas, and large blocks go back when they are freed."""

import ctypes
import platform
import subprocess
import sys

import pytest

GLIBC = platform.libc_ver()[0] == "glibc"

COUNT = """
import ctypes, re, sys, threading
from consumer import malloc_arenas
print(malloc_arenas.limit(), flush=True)
def hold():
    kept.append(ctypes.create_string_buffer(1000)); here.wait()
kept, here = [], threading.Barrier(9)
threads = [threading.Thread(target=hold) for _ in range(8)]
[thread.start() for thread in threads]
here.wait()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""

FREE = """
import psutil
from consumer import malloc_arenas
assert {limit}
small = []
for _ in range(3):
    blocks = [(b"m" * (17 << 20), b"s" * 100_000) for _ in range(8)]
    small += [small for _, small in blocks]
    del blocks
print(psutil.Process().memory_info().rss >> 20)
"""


def mebibytes_kept(limit: str) -> int:
    """What a process holds that has freed large blocks and kept small ones between them."""
    ran = subprocess.run(
        [sys.executable, "-c", FREE.format(limit=limit)],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ran.stdout)


def arenas_of(environment: dict[str, str]) -> tuple[str, int]:
    """What `limit` returns in a process of its own, and how many arenas eight threads then have."""
    ran = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.split("\n", 1)[0], ran.stdout.count("<heap nr=")


@pytest.mark.skipif(not GLIBC, reason="another malloc")
def test_eight_threads_share_two_arenas() -> None:
    """Not one for each."""
    limited, count = arenas_of({})
    assert limited == "True"
    assert count <= 2


@pytest.mark.skipif(not GLIBC, reason="another malloc")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    """Small ones that were taken after them don't keep them."""
    assert mebibytes_kept("True") > 100
    assert mebibytes_kept("malloc_arenas.limit()") < 50


@pytest.mark.skipif(not GLIBC, reason="another malloc")
def test_a_number_that_is_set_is_kept() -> None:
    """The environment comes first."""
    limited, count = arenas_of({"MALLOC_ARENA_MAX": "4"})
    assert limited == "False"
    assert 2 < count <= 4


def test_another_malloc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On musl and macOS there are no arenas of this kind."""
    from consumer import malloc_arenas

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("called"))
    assert malloc_arenas.limit() is False
