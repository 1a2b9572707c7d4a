"""Kubernetes' own programs, built once from pinned Go modules, and kept in the user's cache folder.

No registry of packages has them. tests/cluster/programs/go.mod pins Kubernetes, etcd and kwok,
which plays the nodes; go.sum has the checksums of all they consist of. A build takes some 15
minutes of one core and 3 GB of disk, of which 400 MB are kept.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from producer_tools.local.kafka import jars

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


def fetch() -> KubernetesPrograms:
    """Give the programs, having built them where the cache hasn't got them.

    Raises:
        RuntimeError: there is no Go, or it can't build them.
    """
    if shutil.which("go") is None:
        raise RuntimeError("make cluster builds Kubernetes' API server: it needs Go on PATH")
    pinned = (MODULES / "go.sum").read_bytes() + OPERATOR.encode()
    kept = jars.default_cache().parent / f"kubernetes-{hashlib.sha256(pinned).hexdigest()[:16]}"
    kept.mkdir(parents=True, exist_ok=True)
    missing = [package for package in PACKAGES if not (kept / _name(package)).exists()]
    if missing:
        print(
            f"Building {', '.join(map(_name, missing))}: 15 minutes of a core, once …", flush=True
        )
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="go-") as workshop:
            for package in missing:
                _build(package, Path(workshop), kept)
    _copy_facts(kept)
    return KubernetesPrograms(kept)


def _name(package: str) -> str:
    return {"v3": "etcd"}.get(name := package.rpartition("/")[2], name)


def _build(package: str, workshop: Path, kept: Path) -> None:
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
    built = workshop / _name(package)
    _go("build", "-trimpath", f"-ldflags={flags}", f"-o={built}", package, GOCACHE=f"{workshop}/c")
    built.replace(kept / _name(package))


def _copy_facts(kept: Path) -> None:
    if not (kept / "stages.yaml").exists():
        kwok = Path(_go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip())
        parts = [(kwok / "kustomize/stage" / stage).read_text() for stage in STAGES]
        (kept / "stages.yaml").write_text("\n---\n".join([*parts, _ends_of_tests(parts[3])]))
    if not all((kept / f"{name}.yaml").exists() for name in DEFINITIONS):
        operator = Path(json.loads(_go("mod", "download", "-json", OPERATOR))["Dir"])
        for name in DEFINITIONS:
            source = operator / f"example/prometheus-operator-crd/monitoring.coreos.com_{name}.yaml"
            shutil.copyfile(source, kept / f"{name}.yaml")


def _ends_of_tests(complete: str) -> str:
    """Let kwok end pods that run once, as it ends those of Jobs: `helm test` waits for it."""
    once = complete.replace("name: pod-complete", "name: pod-once")
    return re.sub(
        r"- key: '\.metadata\.ownerReferences.*?- 'Job'",
        "- key: '.spec.restartPolicy'\n      operator: 'In'\n      values:\n      - 'Never'",
        once,
        flags=re.DOTALL,
    )


def _go(*arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        ("go", *arguments),  # noqa: S607  # whichever is on PATH
        cwd=MODULES,
        env={**os.environ, "CGO_ENABLED": "0", **environment},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(f"go {arguments[0]} fails:\n{ran.stderr[-2000:]}")
    return ran.stdout
