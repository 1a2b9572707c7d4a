"""A disk of its own that is small enough to be filled: tmpfs, which root may mount."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"


class SmallDisk:
    """A mounted disk, and a file in it that takes as much room as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / BALLAST

    @property
    def free(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, size: int) -> None:
        """Take so much room that no more than `size` bytes are free."""
        with self._ballast.open("ab") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, ballast.tell() + max(0, self.free - size))

    def fill(self) -> None:
        """Take all room that there is, to the last page."""
        with self._ballast.open("ab", buffering=0) as ballast:
            piece = b"\0" * 4096
            while True:
                try:
                    ballast.write(piece)
                except OSError:
                    return

    def clear(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, *, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes at a folder; skip the test where that isn't allowed."""
    folder.mkdir(mode=0o700)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("a really full disk needs the command `mount`")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a really full disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily, since a process that is still ending may have files there.
        subprocess.run([umount, "--lazy", str(folder)], check=True)
