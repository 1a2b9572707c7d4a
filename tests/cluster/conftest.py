"""One cluster for all tests, and a release of the chart for each that wants one."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.chart import programs as chart_programs
from tests.chart.rendering import Helm
from tests.cluster import kubernetes
from tests.cluster.cluster import Cluster
from tests.cluster.release import Release, until

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(chart_programs.fetch().helm)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that knows the Prometheus operator's kinds."""
    tools = chart_programs.fetch()
    built = kubernetes.fetch(Console())
    with Cluster(built, kubectl=tools.kubectl, helm=tools.helm) as cluster:
        for definition in built.definitions:
            cluster.do("kubectl", "create", f"--filename={definition}")
        cluster.do("kubectl", "create", "priorityclass", "high", "--value=1000")
        kinds = ",".join(kubernetes.DEFINITIONS)
        until(
            lambda: cluster.run("kubectl", "get", kinds, "--all-namespaces").returncode == 0,
            f"the server knows {kinds}",
        )
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of its own, where Pod Security is `restricted`, with the line's Secret."""
    name = f"masks-{uuid.uuid4().hex[:8]}"
    labels = {"name": name, "labels": RESTRICTED}
    made = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": labels})
    cluster.do("kubectl", "create", "--filename=-", stdin=made)
    account = ("serviceaccount/default", f"--namespace={name}", "--timeout=60s")
    cluster.do("kubectl", "wait", "--for=create", *account)  # without it no pod is admitted
    cluster.do("kubectl", "create", "serviceaccount", "maskline", f"--namespace={name}")
    for secret in ("line-secrets", "kafka-ca", "kafka-client"):
        cluster.do(
            "kubectl", "create", "secret", "generic", secret, f"--namespace={name}",
            "--from-literal=mask_component_secret=s3cret",
        )  # fmt: skip
    yield name
    cluster.do("kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture
def release(cluster: Cluster, namespace: str, tmp_path: Path) -> Release:
    """A release that isn't installed yet."""
    return Release(cluster, namespace, tmp_path)
