"""Kubernetes is built once; a build that was interrupted goes on, and leaves only the programs."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.cluster import kubernetes
from tests.cluster.kubernetes import DEFINITIONS, OPERATOR_SUM, STAGES

CONSOLE = Console(quiet=True)
PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
GO = f"""#!/bin/sh
mkdir -p "$GOCACHE" "$GOMODCACHE"
case $1 in
build)
    for argument; do case $argument in -o=*) program=${{argument#-o=}} ;; esac; done
    echo "${{program##*/}}" >> "$GOCACHE/compiled"
    if [ "${{program##*/}}" = "$BROKEN" ]; then echo 'no space left' >&2; exit 1; fi
    cp "$GOCACHE/compiled" "$program" ;;
mod)
    echo '{{"Dir": "'"$MODULE"'", "Sum": "{OPERATOR_SUM}"}}' ;;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user who has built nothing; `go` is a script that says what it was told."""
    module = tmp_path / "module"
    files = [f"kustomize/stage/{stage}" for stage in STAGES]
    files += [
        f"example/prometheus-operator-crd/monitoring.coreos.com_{n}.yaml" for n in DEFINITIONS
    ]
    for file in files:
        (module / file).parent.mkdir(parents=True, exist_ok=True)
        (module / file).write_text(f"name: {Path(file).stem}\n")
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("MODULE", str(module))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "maskline"


def test_it_is_built_once_and_only_the_programs_are_left(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time no Go is needed."""
    programs = kubernetes.fetch(CONSOLE)
    monkeypatch.setenv("PATH", "/nowhere")

    assert programs == kubernetes.fetch(CONSOLE)
    kept = {*PROGRAMS, "stages.yaml", *(f"{name}.yaml" for name in DEFINITIONS), ".lock"}
    assert kept == {path.name for path in programs.folder.iterdir()}
    assert [programs.folder] == list(cache.iterdir())
    assert "name: pod-complete" in programs.stages.read_text()
    assert "name: pod-once" in programs.stages.read_text()


def test_an_interrupted_build_goes_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Go has compiled by then isn't compiled again."""
    monkeypatch.setenv("BROKEN", "kwok")
    with pytest.raises(RuntimeError, match=r"go build (.|\n)*no space left(.|\n)*goes on"):
        kubernetes.fetch(CONSOLE)

    monkeypatch.delenv("BROKEN")
    programs = kubernetes.fetch(CONSOLE)
    compiled = (programs.folder / "kube-scheduler").read_text().split()
    first = ["etcd", "kube-apiserver", "kube-controller-manager", "kwok"]
    assert [*first, "kwok", "kube-scheduler"] == compiled


def test_what_has_another_checksum_is_not_taken(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "OPERATOR_SUM", "h1:another")
    with pytest.raises(RuntimeError, match=r"has the checksum h1:.*, and not h1:another"):
        kubernetes.fetch(CONSOLE)
