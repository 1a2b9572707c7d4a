"""Bills of material (CycloneDX 1.6): of the package with all that it takes, and of the image.

Python's packages are read by cyclonedx-bom. What it can't know is added: the packaged networks, and
Debian's packages in an image.
"""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from tests.supply.debian import debian_packages
from tests.supply.locked import ROOT, locked_versions

WEIGHTS = ROOT / "segmentation" / "weights"
UNDECLARED = {"protobuf": "BSD-3-Clause"}
"""Licences that a package has only as a text, without a name in its metadata."""

Part = dict[str, Any]
Bill = dict[str, Any]


def bill_of_package() -> Bill:
    """Give the bill of our package: what the runtime's lock installs, and the networks."""
    locked = locked_versions()
    with tempfile.TemporaryDirectory() as temporary:
        for found in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
            if canonicalize_name(found.name.partition("-")[0]) in locked:
                (Path(temporary) / found.name).symlink_to(found)
        bill = _read_python([Path(temporary)])
    bill["components"] += _networks(WEIGHTS)
    return checked(bill)


def bill_of_image(root: Path) -> Bill:
    """Give the bill of an image whose files are below `root`."""
    bill = _read_python(site_folders(root))
    _keep(bill, lambda part: canonicalize_name(part["name"]) != "maskline")
    bill["metadata"]["component"]["type"] = "container"
    bill["components"] += _networks(root / "app" / "segmentation" / "weights")
    bill["components"] += [
        {
            "type": "library",
            "bom-ref": f"deb/{package.name}",
            "name": package.name,
            "version": package.version,
            "purl": f"pkg:deb/debian/{package.name}@{package.version}?arch={package.architecture}",
            **_licences(package.licences),
        }
        for package in debian_packages(root)
    ]
    return checked(bill)


def site_folders(root: Path) -> list[Path]:
    """Give the folders of an image from which Python imports packages."""
    return [*root.glob("venv/lib/python3.*/site-packages"), root / "app"]


def checked(bill: Bill) -> Bill:
    """Give a bill that is valid.

    Raises:
        ValueError: It isn't.
    """
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    if error is not None:
        raise ValueError(f"the bill isn't valid: {error}")
    return bill


def licences_of(part: Part) -> list[str]:
    """Give the licences of a part, as SPDX names them or as its classifiers do."""
    found = []
    for entry in part.get("licenses", ()):
        licence = entry.get("license", {})
        name = entry.get("expression") or licence.get("id") or licence.get("name", "")
        found.append(name.removeprefix("License :: OSI Approved :: "))
    return found


def _read_python(folders: Sequence[Path]) -> Bill:
    """Read the packages in folders; their interpreter isn't run, for it may be another system's."""
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / "python"
        paths = json.dumps([str(folder) for folder in folders])
        told.write_text(f"#!/bin/sh\ncat <<'EOF'\n{paths}\nEOF\n")
        told.chmod(0o755)
        done = subprocess.run(
            [
                sys.executable, "-m", "cyclonedx_py", "environment", "--short-PURLs",
                "--output-reproducible", "--no-validate", "--spec-version", "1.6",
                "--pyproject", str(ROOT / "pyproject.toml"), str(told),
            ],
            capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    bill: Bill = json.loads(done.stdout)
    for part in bill["components"]:
        known = UNDECLARED.get(canonicalize_name(part["name"]))
        if known and not part.get("licenses"):
            part |= _licences([known])
    return bill


def _keep(bill: Bill, wanted: Any) -> None:
    """Drop the parts that aren't wanted, and what depends on them alone."""
    bill["components"] = [part for part in bill["components"] if wanted(part)]
    kept = {part["bom-ref"] for part in bill["components"]}
    kept.add(bill["metadata"]["component"]["bom-ref"])
    bill["dependencies"] = [
        {**entry, "dependsOn": [ref for ref in entry.get("dependsOn", ()) if ref in kept]}
        for entry in bill["dependencies"]
        if entry["ref"] in kept
    ]


def _networks(folder: Path) -> list[Part]:
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"network/{file.name}",
            "name": file.name,
            "hashes": [
                {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
            ],
        }
        for file in sorted(folder.glob("*.onnx"))
    ]


def _licences(names: Iterable[str]) -> Part:
    found = [{"license": {"name": name}} for name in names]
    return {"licenses": found} if found else {}
