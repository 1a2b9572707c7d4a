"""A Go program is built once and kept; a failed build is an error with what to do."""

from pathlib import Path

import pytest
from rich.console import Console

from producer_tools.local.errors import LocalStackError
from tests.laboratory.go_programs import GoProgram

PROGRAM = GoProgram("tool", "example.com/tool/cmd/server", "v1.2.3")
CONSOLE = Console(quiet=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user who has built nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "maskline"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put_go(folder: Path, script: str) -> Path:
    """Put a program named `go` there."""
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    return go


def test_it_is_built_once_and_nothing_else_is_left(cache: Path, bin_folder: Path) -> None:
    """The second time no Go is needed; sources and Go's caches are gone."""
    go = put_go(bin_folder, 'mkdir -p "$GOBIN" "$GOMODCACHE/m" && echo "$1 $2" > "$GOBIN/server"')
    program = PROGRAM.fetch(CONSOLE)
    go.unlink()

    assert PROGRAM.fetch(CONSOLE) == program
    assert program.read_text() == "install example.com/tool/cmd/server@v1.2.3\n"
    assert [path for path in cache.rglob("*") if path.is_file()] == [program]


def test_what_go_printed_is_in_the_error(cache: Path, bin_folder: Path) -> None:
    """With what to do about it; nothing that is broken is kept."""
    put_go(bin_folder, "echo 'needs go >= 9.9' >&2; exit 1")

    with pytest.raises(LocalStackError, match=r"tool v1.2.3 can't be built.*\n.*9\.9\n.*GOPROXY"):
        PROGRAM.fetch(CONSOLE)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
