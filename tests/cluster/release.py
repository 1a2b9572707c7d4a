"""A release of the chart in the cluster."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chart.rendering import SETS
from tests.chart.values import CHART
from tests.cluster.cluster import Cluster

LEAST = SETS / "least.yaml"
WAIT = ("--wait", "--timeout=120s")


@dataclass(frozen=True, slots=True)
class Release:
    """The release `line`, in a namespace."""

    cluster: Cluster
    namespace: str
    folder: Path

    def install(self, *values: Path | Mapping[str, Any]) -> str:
        """Install the chart, and wait until all is ready."""
        return self.helm("install", "line", str(CHART), *self._files(values or (LEAST,)), *WAIT)

    def upgrade(self, *values: Path | Mapping[str, Any]) -> str:
        """Upgrade to these values, and wait until all is ready."""
        return self.helm("upgrade", "line", str(CHART), *self._files(values), *WAIT)

    def helm(self, *arguments: str) -> str:
        """Run helm in the namespace."""
        return self.cluster.do("helm", *arguments, f"--namespace={self.namespace}")

    def items(self, kind: str, component: str = "") -> list[dict[str, Any]]:
        """Give what there is of a kind, of one component if given."""
        selector = "app.kubernetes.io/instance=line"
        if component:
            selector += f",app.kubernetes.io/component={component}"
        found = self.cluster.get(kind, f"--selector={selector}", namespace=self.namespace)
        items: list[dict[str, Any]] = found["items"]
        return items

    def evict(self, pod: str) -> int:
        """Ask for a pod's eviction; give the status of the answer."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        ran = self.cluster.run(
            "kubectl", "create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction)
        )
        if ran.returncode == 0:
            return int(json.loads(ran.stdout).get("code", 201))
        return 429 if "disruption budget" in ran.stderr else 0

    def _files(self, values: tuple[Path | Mapping[str, Any], ...]) -> list[str]:
        flags = []
        for number, given in enumerate(values):
            file = given if isinstance(given, Path) else self.folder / f"values-{number}.json"
            if not isinstance(given, Path):
                file.write_text(json.dumps(given))
            flags.append(f"--values={file}")
        return flags


def ready(release: Release, component: str) -> list[dict[str, Any]]:
    """Give the pods of a component that are ready and stay."""
    return [
        pod
        for pod in release.items("pods", component)
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


def until(happened: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    """Wait until it has happened."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)
