"""Kubernetes' own schemas, strict: a field that a version doesn't have is a fault."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

OURS_ELSEWHERE = ("monitoring.coreos.com/v1",)
"""Kinds of the Prometheus operator, which `make cluster` has admitted by their own definitions."""


def last_versions(schemas: Path, count: int) -> list[str]:
    """Give the last minor versions that there are schemas of."""
    found = [folder.name.split("-")[0] for folder in schemas.glob("*-local-strict")]
    return sorted(found, key=lambda version: [int(part) for part in version[1:].split(".")])[
        -count:
    ]


def faults(part: Mapping[str, Any], schemas: Path, version: str) -> Iterator[str]:
    """Say what of a part a version of Kubernetes wouldn't take."""
    if part["apiVersion"] in OURS_ELSEWHERE:
        return
    group, _, number = part["apiVersion"].rpartition("/")
    file = "-".join(filter(None, (part["kind"].lower(), group.partition(".")[0], number)))
    validator = _validator(schemas / f"{version}-local-strict", file)
    for error in validator.iter_errors(part):
        where = ".".join(str(step) for step in error.absolute_path)
        name = f"{part['kind']} {part['metadata']['name']}"
        yield f"{version}: {name}: {where}: {error.message[:200]}"


@cache
def _validator(folder: Path, name: str) -> Draft202012Validator:
    schema = json.loads((folder / f"{name}.json").read_text())
    return Draft202012Validator(schema, registry=_registry(folder))


@cache
def _registry(folder: Path) -> Registry[Any]:
    definitions = json.loads((folder / "_definitions.json").read_text())
    resource = Resource.from_contents(definitions)
    return Registry().with_resources(
        [(uri, resource) for uri in ("/api/_definitions.json", definitions["$id"])]
    )
