"""A pod's only container, as a process of this machine: kwok runs none."""

import base64
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.release import Release
from tests.support.line_names import maskline


@dataclass(frozen=True, slots=True)
class Pod:
    """What the server has of a pod: its arguments, its environment, and its Secrets as files."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    probe: str
    """The path of the probe of readiness."""

    @classmethod
    def of(cls, release: Release, pod: Mapping[str, Any], folder: Path) -> "Pod":
        """Read a pod, or the template of one; its volumes are in the folder."""
        (container,) = pod["spec"]["containers"]
        places = {}
        for mount in container["volumeMounts"]:
            (volume,) = [it for it in pod["spec"]["volumes"] if it["name"] == mount["name"]]
            place = folder / volume["name"]
            place.mkdir(parents=True)
            places[mount["mountPath"]] = place
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                found = release.cluster.get("secret", name, namespace=release.namespace)
                for key, value in found["data"].items():
                    (place / key).write_bytes(base64.b64decode(value))
        probe = container.get("readinessProbe", {"httpGet": {"path": ""}})
        return cls(
            tuple(container["args"]),
            {entry["name"]: _placed(entry["value"], places) for entry in container["env"]},
            probe["httpGet"]["path"],
        )

    def execute(self, command: str, *, port: int = 0) -> subprocess.CompletedProcess[str]:
        """Run what `kubectl exec` would, `maskline` or `python3`; `port` stands for its 8004."""
        program, *arguments = shlex.split(command)
        if program == "maskline":
            return maskline(*arguments, environment=self.environment)
        assert program == "python3"
        words = [word.replace("8004", str(port)) for word in arguments]
        return subprocess.run((sys.executable, *words), capture_output=True, text=True, timeout=30)


def _placed(value: str, places: Mapping[str, Path]) -> str:
    """Give a path of the container as it is on this machine."""
    for path, place in places.items():
        if value == path or value.startswith(f"{path}/"):
            return str(place) + value.removeprefix(path)
    return value
