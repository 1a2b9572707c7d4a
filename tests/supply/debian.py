"""Debian's packages in the files of an image, as dpkg notes them."""

import re
from dataclasses import dataclass
from pathlib import Path

_DPKG = Path("var/lib/dpkg")
_LICENCE = re.compile(r"^License: +(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is installed."""

    name: str
    version: str
    architecture: str
    licences: tuple[str, ...]
    """As its copyright file names them; empty where the image has no such file."""


def debian_packages(root: Path) -> list[Package]:
    """Give the packages in an image whose files are below `root`; none where it isn't Debian's."""
    status = root / _DPKG / "status"
    if not status.exists():
        return []
    found = []
    for paragraph in status.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            name = fields["Package"]
            found.append(
                Package(name, fields["Version"], fields["Architecture"], _licences(root, name))
            )
    return found


def files_of_packages(root: Path) -> set[str]:
    """Give the paths of all files that a package of Debian's has brought."""
    found = set()
    for listing in (root / _DPKG / "info").glob("*.list"):
        found |= {_resolved(root, line) for line in listing.read_text().splitlines()}
    return found


def _resolved(root: Path, path: str) -> str:
    """Give the path without the links at its top: /bin is /usr/bin."""
    first, _, rest = path.lstrip("/").partition("/")
    top = root / first
    if rest and top.is_symlink():
        first = str(top.readlink()).lstrip("/")
    return f"/{first}/{rest}" if rest else f"/{first}"


def _licences(root: Path, name: str) -> tuple[str, ...]:
    file = root / "usr/share/doc" / name / "copyright"
    if not file.exists():
        return ()
    return tuple(sorted(set(_LICENCE.findall(file.read_text(errors="replace")))))
