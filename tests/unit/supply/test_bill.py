"""The bill of material has what ships, all of it and nothing else, by licences that we may take."""

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.supply.bill import WEIGHTS, Bill, bill_of_image, bill_of_package
from tests.supply.licences import ALLOWED, PAGE, licences_of_parts, renewed
from tests.supply.locked import locked_versions
from tests.supply.unnamed import unnamed_files

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture(scope="module")
def bill() -> Bill:
    """The package's."""
    return bill_of_package()


def test_the_bill_has_what_the_lock_installs(bill: Bill) -> None:
    """No difference: the environment that it is read from has been installed from a lock, too."""
    parts = {
        canonicalize_name(part["name"]): part["version"]
        for part in bill["components"]
        if part["type"] == "library"
    }
    assert parts == locked_versions()


def test_the_bill_has_the_networks(bill: Bill) -> None:
    networks = [part for part in bill["components"] if part["type"] == "machine-learning-model"]
    assert [part["name"] for part in networks] == sorted(it.name for it in WEIGHTS.glob("*.onnx"))
    assert all(len(part["hashes"][0]["content"]) == 64 for part in networks)


def test_every_part_has_a_licence_that_we_may_take(bill: Bill) -> None:
    found = licences_of_parts(bill)
    assert {} == {name: each for name, each in found.items() if not each or set(each) - ALLOWED}


def test_the_page_of_licences_names_each_part(bill: Bill) -> None:
    """`python -m tests.supply.licences` writes it."""
    assert PAGE.read_text() == renewed(PAGE.read_text(), bill)


def test_what_nobody_has_brought_into_an_image_is_found(tmp_path: Path) -> None:
    """A file of Debian's, one of a package's record, one of nobody's."""
    dpkg, site = tmp_path / "var/lib/dpkg", tmp_path / "venv/lib/python3.13/site-packages"
    (dpkg / "info").mkdir(parents=True)
    (dpkg / "status").write_text(STATUS)
    (dpkg / "info/libc6.list").write_text("/.\n/lib/libc.so.6\n")
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/lib/libc.so.6").touch()
    (tmp_path / "app").mkdir()
    info = site / "known-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: known\nVersion: 1\n")
    (info / "RECORD").write_text("known.py,,\nknown-1.dist-info/METADATA,,\n")
    (site / "known.py").touch()
    assert [] == unnamed_files(tmp_path)
    assert ["known", "libc6"] == [part["name"] for part in bill_of_image(tmp_path)["components"]]
    (site / "stowaway.so").touch()
    (tmp_path / "usr/lib/stowaway.so").touch()
    found = unnamed_files(tmp_path)
    assert ["/usr/lib/stowaway.so", "/venv/lib/python3.13/site-packages/stowaway.so"] == found
