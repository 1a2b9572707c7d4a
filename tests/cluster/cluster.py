"""A Kubernetes of this machine: its real API server, controllers and scheduler; kwok plays nodes.

Pods are admitted, scheduled and counted as anywhere, and no container runs: kwok says that they are
ready, or, of those that run once, that they have ended well.
"""

import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from producer_tools.local import ports
from producer_tools.local.child import Child
from tests.cluster.authority import ClusterAuthority
from tests.cluster.kubernetes import KubernetesPrograms

START_SECONDS = 120.0
NODES = ("node-a", "node-b")
_HOST = "127.0.0.1"
_HELM_FOLDERS = ("CACHE", "CONFIG", "DATA")


class Cluster:
    """A cluster with two nodes, as a context manager."""

    def __init__(self, programs: KubernetesPrograms, *, kubectl: Path, helm: Path) -> None:
        self._programs = programs
        self._tools = {"kubectl": kubectl, "helm": helm}
        self._opened = ExitStack()
        self._folder: Path
        self._port = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            folder = opening.enter_context(tempfile.TemporaryDirectory(prefix="maskline-cluster-"))
            self._folder = Path(folder)
            self._write_certificates()
            self._start_server(opening)
            self._start_others(opening)
            self._add_nodes()
            self._opened = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def run(self, tool: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `kubectl` or `helm` as the cluster's administrator."""
        return subprocess.run(
            (self._tools[tool], *arguments),
            env={
                **os.environ,
                "KUBECONFIG": str(self.kubeconfig),
                "KUBECACHEDIR": str(self._folder / "kubectl"),  # another cluster had our port
                **{f"HELM_{name}_HOME": str(self._folder / "helm") for name in _HELM_FOLDERS},
            },
            input=stdin,
            capture_output=True,
            text=True,
        )

    def do(self, tool: str, *arguments: str, stdin: str = "") -> str:
        """Run it, and give what it says; it must succeed, and the server must warn of nothing."""
        ran = self.run(tool, *arguments, stdin=stdin)
        said = f"{ran.stdout}\n{ran.stderr}"
        if ran.returncode or "warning:" in said.lower():
            raise AssertionError(f"{tool} {' '.join(arguments)}: {ran.returncode}\n{said}")
        return ran.stdout

    def get(self, *what: str, namespace: str = "masks") -> dict[str, Any]:
        """Give what the server has."""
        found: dict[str, Any] = json.loads(
            self.do("kubectl", "get", *what, f"--namespace={namespace}", "--output=json")
        )
        return found

    @property
    def kubeconfig(self) -> Path:
        """How to reach the cluster as its administrator."""
        return self._folder / "kubeconfig"

    def _write_certificates(self) -> None:
        authority = ClusterAuthority(self._folder)
        authority.sign("apiserver")
        authority.sign("admin", organization="system:masters")
        authority.write_key_pair("sa")

    def _start_server(self, opening: ExitStack) -> None:
        data, peers = ports.choose("etcd", setting=""), ports.choose("etcd's peers", setting="")
        own, other = f"http://{_HOST}:{data}", f"http://{_HOST}:{peers}"
        self._child(
            opening,
            "etcd",
            f"--data-dir={self._folder}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls={own}",
            f"--advertise-client-urls={own}",
            f"--listen-peer-urls={other}",
            f"--initial-advertise-peer-urls={other}",
            f"--initial-cluster=default={other}",
            "--log-level=warn",
        )
        self._port = ports.choose("kube-apiserver", setting="")
        self._child(
            opening,
            "kube-apiserver",
            f"--etcd-servers={own}",
            f"--bind-address={_HOST}",
            f"--advertise-address={_HOST}",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self._port}",
            f"--tls-cert-file={self._folder}/apiserver.crt",
            f"--tls-private-key-file={self._folder}/apiserver.key",
            f"--client-ca-file={self._folder}/ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._folder}/sa.pub",
            f"--service-account-signing-key-file={self._folder}/sa.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
        ).wait_until(self._answers, seconds=START_SECONDS)
        self._write_kubeconfig()

    def _start_others(self, opening: ExitStack) -> None:
        config = f"--kubeconfig={self.kubeconfig}"
        alone = ("--leader-elect=false", f"--bind-address={_HOST}")
        port = ports.choose("kube-controller-manager", setting="")
        self._child(
            opening,
            "kube-controller-manager",
            config,
            *alone,
            f"--secure-port={port}",
            f"--service-account-private-key-file={self._folder}/sa.key",
            f"--root-ca-file={self._folder}/ca.crt",
        )
        port = ports.choose("kube-scheduler", setting="")
        self._child(opening, "kube-scheduler", config, *alone, f"--secure-port={port}")
        # Without leases the controller manager takes the nodes for dead within a minute.
        self._child(
            opening,
            "kwok",
            config,
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=40",
            f"--config={self._programs.stages}",
        )

    def _add_nodes(self) -> None:
        size = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        nodes = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                "status": {"allocatable": size, "capacity": size},
            }
            for name in NODES
        ]
        stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes})
        self.do("kubectl", "create", "--filename=-", stdin=stdin)
        self.do("kubectl", "wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")

    def _child(self, opening: ExitStack, name: str, *arguments: str) -> Child:
        log = self._folder / f"{name}.log"
        child = Child(name, (self._programs.program(name), *arguments), log=log)
        opening.callback(child.stop)
        return child

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self._folder / "ca.crt")
        context.load_cert_chain(self._folder / "admin.crt", self._folder / "admin.key")
        try:
            url = f"https://{_HOST}:{self._port}/readyz"
            with urllib.request.urlopen(url, context=context, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
            return False

    def _write_kubeconfig(self) -> None:
        names = {"cluster": "local", "user": "admin"}
        server = {
            "server": f"https://{_HOST}:{self._port}",
            "certificate-authority": f"{self._folder}/ca.crt",
        }
        user = {
            "client-certificate": f"{self._folder}/admin.crt",
            "client-key": f"{self._folder}/admin.key",
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": server}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "local", "context": names}],
            "current-context": "local",
        }
        self.kubeconfig.write_text(json.dumps(config))
