"""A new operator's way: each command of the chart's README, in its order, on the real server.

No container runs here, so what is run inside one, and its log, is left to other tests.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.values import CHART
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.release import Release, ready, until

README = (CHART / "README.md").read_text()
NAMESPACE = "masks"
INSIDE = {"exec", "logs"}
"""What asks a container."""
_VERBS = ("install", "test", "upgrade", "rollback", "drain")


@pytest.fixture
def masks(cluster: Cluster) -> Iterator[None]:
    """What the README makes is taken away, and every node takes pods again."""
    yield
    cluster.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")
    for node in NODES:
        cluster.run("kubectl", "uncordon", node)


def test_an_operator_gets_there_by_the_readme_alone(
    cluster: Cluster, masks: None, tmp_path: Path
) -> None:
    """From the Secret to a replayed day: nothing is refused, and nothing is warned about."""
    (text,) = _blocks("yaml")
    line, values = tmp_path / "line.yaml", yaml.safe_load(text)
    line.write_text(text)
    release = Release(cluster, NAMESPACE, tmp_path)
    done: list[str] = []
    for tool, *arguments in _commands(line):
        words = " ".join(arguments)
        if "upgrade line" in words and not done.count("upgrade"):
            values["config"]["WORKER_COUNT"] = 4
            line.write_text(yaml.safe_dump(values))
        if arguments[:2] == ["drain", "NODE"]:
            arguments[1] = ready(release, "consumer")[0]["spec"]["nodeName"]
        cluster.do(tool, *arguments)
        if "create namespace" in words:
            labels = [f"pod-security.kubernetes.io/{it}=restricted" for it in ("enforce", "warn")]
            cluster.do("kubectl", "label", "namespace", NAMESPACE, *labels)
        if "replay.id=friday" in words:
            (run,) = release.items("jobs", "replay")
            assert "friday" in str(run["spec"]["template"])
        done += [word for word in (*_VERBS, "uninstall") if word in arguments]
        if "drain" in arguments:
            until(lambda: len(ready(release, "consumer")) == 2, "both are there again")
    assert [*_VERBS, "upgrade", "upgrade", "uninstall"] == done
    kinds = ("deployments", "jobs", "pods")
    until(lambda: not any(map(release.items, kinds)), "all is taken away")


def test_what_asks_every_consumer_finds_them(release: Release) -> None:
    """The selectors of the README's loops, and of its logs, choose both consumers."""
    release.install()
    found = re.findall(r"--selector (\S+component=consumer)", README)
    assert len(found) == 2
    for selector in found:
        names = release.cluster.do(
            "kubectl", "get", "pods", "--output=name", f"--selector={selector}",
            f"--namespace={release.namespace}",
        )  # fmt: skip
        assert len(names.split()) == 2


def _blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def _commands(line: Path) -> Iterator[list[str]]:
    """Give every command that needs no container, its placeholders filled in."""
    for block in _blocks(""):
        for command in block.replace("\\\n", " ").splitlines():
            if command.startswith(("kubectl", "helm")):
                words = shlex.split(command.replace("=…", "=x").partition(" | ")[0])
                places = {"helm/maskline": str(CHART), "line.yaml": str(line)}
                words = [places.get(word, word) for word in words if word != "--logs"]
                if not INSIDE & set(words):
                    yield words
