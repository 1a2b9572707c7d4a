"""The chart on a real API server: installed, changed, drained, rolled back and taken away."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import SETS, Helm, Refused
from tests.chart.values import CHART
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.release import LEAST, Release, ready, until

ALL = sorted(SETS.glob("*.yaml"))


@pytest.mark.parametrize("values", ALL, ids=lambda path: path.stem)
def test_the_server_keeps_every_field(
    values: Path, cluster: Cluster, namespace: str, helm: Helm
) -> None:
    """It takes each part as it is rendered: nothing refused, pruned, or warned about."""
    rendered = helm.render(values)
    applied = cluster.do(
        "kubectl", "apply", "--dry-run=server", "--validate=strict", "--output=yaml",
        "--filename=-", f"--namespace={namespace}", stdin=rendered.text,
    )  # fmt: skip
    kept = {(part["kind"], part["metadata"]["name"]): part for part in _parts(applied)}
    for part in rendered.parts:
        found = kept[part["kind"], part["metadata"]["name"]]
        assert [] == list(_lost(part, found, part["kind"]))


def test_a_release_lives(release: Release) -> None:
    """Installed, upgraded with changed settings, rolled back, taken away: nothing is left."""
    notes = release.install(LEAST, {"gateway": {"enabled": True}})
    assert "rollout status deployment/line-consumer" in notes
    assert 2 == len(ready(release, "consumer"))
    first = _environment(release, "consumer")
    assert "WORKER_COUNT" not in first
    release.upgrade(LEAST, {"gateway": {"enabled": True}, "config": {"WORKER_COUNT": 4}})
    assert _environment(release, "consumer") == {**first, "WORKER_COUNT": "4"}
    assert 2 == len(ready(release, "consumer"))
    release.helm("rollback", "line", "1", "--wait", "--timeout=120s")
    assert first == _environment(release, "consumer")
    assert "deployed" in release.helm("history", "line")
    release.helm("uninstall", "line", "--wait", "--timeout=120s")
    for kind in ("deployments", "services", "networkpolicies", "pdb", "jobs", "configmaps"):
        assert [] == release.items(kind)


def test_the_topics_job_comes_first(release: Release) -> None:
    """With a Secret of the release's own, which isn't there yet when the hook runs."""
    release.install(SETS / "trial.yaml")
    assert [] == release.items("jobs"), "the hook is taken away when it has done its work"
    names = [secret["metadata"]["name"] for secret in release.items("secrets")]
    assert ["line"] == names
    release.upgrade(SETS / "trial.yaml", {"config": {"WORKER_COUNT": 3}})


def test_helm_test_ends(release: Release) -> None:
    """The pod is admitted and awaited; what it does, another test does with a real line."""
    release.install()
    assert "Phase:          Succeeded" in release.helm("test", "line", "--timeout=60s")


def test_a_replay_run_is_left_alone_by_what_does_not_concern_it(release: Release) -> None:
    """A Job can't be changed: an upgrade that tried to would fail."""
    replay = {"replay": {"id": "friday", "fromOffset": 4, "toOffset": 26214400}}
    release.install(LEAST, replay)
    (run,) = _names(release.items("jobs", "replay"))
    release.upgrade(LEAST, replay, {"replicaCount": 3})
    assert [run] == _names(release.items("jobs", "replay"))
    release.upgrade(LEAST, replay, {"config": {"WORKER_COUNT": 4}})
    (other,) = _names(release.items("jobs", "replay"))
    assert other != run
    release.upgrade(LEAST)
    until(lambda: release.items("jobs", "replay") == [], "the run is taken away")


def test_the_last_warm_consumer_is_not_evicted(release: Release) -> None:
    """While nothing new can start, the second eviction is refused; then the drain ends."""
    release.install()
    cluster = release.cluster
    first, second = ready(release, "consumer")
    assert first["spec"]["nodeName"] != second["spec"]["nodeName"], "a node each, where it can be"
    try:
        for node in NODES:
            cluster.do("kubectl", "cordon", node)
        assert release.evict(first["metadata"]["name"]) == 201
        until(lambda: len(ready(release, "consumer")) == 1, "the first is gone")
        assert release.evict(second["metadata"]["name"]) == 429
        cluster.do("kubectl", "uncordon", first["spec"]["nodeName"])
        cluster.do(
            "kubectl", "drain", second["spec"]["nodeName"], "--ignore-daemonsets",
            "--delete-emptydir-data", "--force", "--timeout=60s",
        )  # fmt: skip
        until(lambda: len(ready(release, "consumer")) == 2, "both are back")
        assert {first["spec"]["nodeName"]} == {
            pod["spec"]["nodeName"] for pod in ready(release, "consumer")
        }
    finally:
        for node in NODES:
            cluster.run("kubectl", "uncordon", node)


def test_one_replica_can_be_evicted(release: Release) -> None:
    """A budget of one would keep a node from ever being drained."""
    release.install(LEAST, {"replicaCount": 1})
    (pod,) = ready(release, "consumer")
    assert release.evict(pod["metadata"]["name"]) == 201


def test_restricted_is_enforced(cluster: Cluster, namespace: str) -> None:
    """A pod that asks for more than ours do is refused, so the releases above prove something."""
    ran = cluster.run(
        "kubectl", "run", "bare", "--image=maskline", f"--namespace={namespace}", "--restart=Never"
    )
    assert ran.returncode
    assert "violates PodSecurity" in ran.stderr


def test_pods_get_no_token(release: Release) -> None:
    release.install()
    for pod in release.items("pods"):
        volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
        assert ["temp", "secrets"] == volumes


def test_a_wrong_value_changes_nothing(release: Release) -> None:
    release.install()
    with pytest.raises((AssertionError, Refused), match="a whole number, 1 to 256"):
        release.upgrade(LEAST, {"config": {"WORKER_COUNT": 0}})
    assert "1" in release.helm("history", "line").splitlines()[-1].split()[0]
    assert CHART.exists()


def _parts(text: str) -> Iterator[dict[str, Any]]:
    for document in yaml.safe_load_all(text):
        for part in document["items"] if document["kind"] == "List" else [document]:
            if part["kind"] == "Secret":  # what is given as text is kept in base64
                data = part.get("data", {}).items()
                part["stringData"] = {key: b64decode(value).decode() for key, value in data}
            yield part


def _lost(rendered: Any, found: Any, where: str) -> Iterator[str]:
    """Say which of what is rendered isn't there.

    The server adds fields, and to the end of lists, and it writes numbers as text.
    """
    if isinstance(rendered, dict):
        for key, value in rendered.items():
            if value in (None, {}, []):
                continue
            if not isinstance(found, dict) or key not in found:
                yield f"{where}.{key}"
            else:
                yield from _lost(value, found[key], f"{where}.{key}")
    elif isinstance(rendered, list):
        if not isinstance(found, list) or len(found) < len(rendered):
            yield where
        else:
            for number, (value, other) in enumerate(zip(rendered, found, strict=False)):
                yield from _lost(value, other, f"{where}[{number}]")
    elif str(rendered) != str(found):
        yield f"{where}: {rendered!r} became {found!r}"


def _environment(release: Release, component: str) -> dict[str, str]:
    (deployment,) = release.items("deployments", component)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}


def _names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]
