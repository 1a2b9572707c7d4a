"""Whatever the values: helm lints without a word, and Kubernetes' last four versions take it."""

from pathlib import Path
from typing import Any

import pytest

from tests.chart.kubernetes_schemas import faults, last_versions
from tests.chart.rendering import SETS, Helm
from tests.chart.values import CHART

ALL = sorted(SETS.glob("*.yaml"))
LEAST = SETS / "least.yaml"


def test_there_are_a_dozen_sets() -> None:
    assert len(ALL) >= 12


def test_the_schemas_are_of_four_versions(schemas: Path) -> None:
    assert ["v1.34.0", "v1.35.0", "v1.36.0", "v1.37.0"] == last_versions(schemas, 4)


@pytest.mark.parametrize("values", ALL, ids=lambda path: path.stem)
def test_helm_has_nothing_to_say(values: Path, helm: Helm) -> None:
    ran = helm.run("lint", "--strict", str(CHART), f"--values={values}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "[WARNING]" not in ran.stdout


@pytest.mark.parametrize("values", ALL, ids=lambda path: path.stem)
def test_each_version_takes_every_part(values: Path, helm: Helm, schemas: Path) -> None:
    rendered = helm.render(values)
    assert [] == [
        fault
        for version in last_versions(schemas, 4)
        for part in rendered.parts
        for fault in faults(part, schemas, version)
    ]


@pytest.mark.parametrize("values", ALL, ids=lambda path: path.stem)
def test_every_pod_is_restricted(values: Path, helm: Helm) -> None:
    """What Pod Security asks for under that name, and no token, no setting with a secret's name."""
    for component, pod in helm.render(values).pods().items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, component
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "hostNetwork" not in spec
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("values", ALL, ids=lambda path: path.stem)
def test_names_and_mounts_meet_once(values: Path, helm: Helm) -> None:
    """No part twice, no folder mounted twice, no variable set twice, every volume mounted."""
    rendered = helm.render(values)
    names = [(part["kind"], part["metadata"]["name"]) for part in rendered.parts]
    assert len(names) == len(set(names))
    for pod in rendered.pods().values():
        (container,) = pod["spec"]["containers"]
        for found in (
            [mount["mountPath"] for mount in container["volumeMounts"]],
            [entry["name"] for entry in container["env"]],
        ):
            assert len(found) == len(set(found))
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_a_misspelt_field_is_found(schemas: Path) -> None:
    """The check of schemas would fail on it."""
    wrong: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "dta": {},
    }
    found = list(faults(wrong, schemas, "v1.37.0"))
    assert len(found) == 1
    assert "dta" in found[0]
