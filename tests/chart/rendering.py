"""What the chart makes of values, by the real helm."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chart.values import CHART

SETS = CHART / "ci"
"""Sets of values that the chart must do well with, a file each."""


class Refused(Exception):
    """Helm renders nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Helm:
    """Runs helm."""

    program: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands."""
        return subprocess.run(
            (self.program, *arguments),
            capture_output=True,
            text=True,
            env={**os.environ, "HELM_DEBUG": ""},
        )

    def render(self, *values: Path | Mapping[str, Any], upgrade: bool = False) -> "Rendered":
        """Give all that a release named `line` consists of; raise `Refused` with helm's words."""
        with tempfile.TemporaryDirectory() as folder:
            files = [_file(Path(folder) / f"{n}.json", given) for n, given in enumerate(values)]
            flags = [f"--values={file}" for file in files] + ["--is-upgrade"] * upgrade
            ran = self.run("template", "line", str(CHART), "--namespace", "masks", *flags)
        if ran.returncode:
            raise Refused(ran.stderr)
        return Rendered([part for part in yaml.safe_load_all(ran.stdout) if part], ran.stdout)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a release."""

    parts: list[dict[str, Any]]
    text: str

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the parts of a kind by name."""
        return {part["metadata"]["name"]: part for part in self.parts if part["kind"] == kind}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """Give one part."""
        return self.all(kind)[name]

    def pods(self) -> dict[str, dict[str, Any]]:
        """Give the metadata and spec of every pod by its component."""
        templates = [part for part in self.parts if part["kind"] == "Pod"] + [
            part["spec"]["template"] for part in self.parts if "template" in part.get("spec", {})
        ]
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in templates}


def environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Give the environment of a pod's container."""
    (container,) = pod["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def _file(path: Path, given: Path | Mapping[str, Any]) -> Path:
    if isinstance(given, Path):
        return given
    path.write_text(json.dumps(given))
    return path
