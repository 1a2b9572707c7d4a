"""The image's bill of material names all that is in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.image.containers import IMAGE, Store
from tests.supply.bill import bill_of_image
from tests.supply.locked import locked_versions
from tests.supply.unnamed import unnamed_files


@pytest.fixture
def root(layers: list[str], store: Store) -> Iterator[Path]:
    """The image's files."""
    yield Path(store.run("podman", "image", "mount", IMAGE).stdout.strip())
    store.run("podman", "image", "unmount", IMAGE)


def test_nothing_is_in_it_that_its_bill_does_not_name(root: Path) -> None:
    """Each file was brought by a package of Debian's or of Python's, or made by the base's."""
    assert [] == unnamed_files(root)


def test_its_bill_has_what_the_lock_installs(root: Path, tmp_path: Path) -> None:
    """Each package by its version; which of them a Python takes, markers say."""
    bill = bill_of_image(root)
    (tmp_path / "image.cdx.json").write_text(json.dumps(bill))
    parts = {
        canonicalize_name(part["name"]): part["version"]
        for part in bill["components"]
        if part.get("purl", "").startswith("pkg:pypi/")
    }
    python = next(root.glob("venv/lib/python3.*")).name.removeprefix("python")
    assert parts == locked_versions(python=python)
    assert "libc6" in {part["name"] for part in bill["components"]}
