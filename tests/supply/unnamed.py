"""The files of an image that no part of its bill has brought."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.supply.bill import site_folders
from tests.supply.debian import files_of_packages

_MADE = re.compile(
    r"/(etc|var|run|dev|proc|sys|tmp)/"  # settings and states, which packages' scripts make
    r"|/root/\.(bashrc|profile)$|/usr/share/info/dir$"
    r"|/venv/(\.gitignore|pyvenv\.cfg|lib64|bin/(python[0-9.]*|[Aa]ctivate.*))$"  # Python's venv
    r"|/app/bin/maskline$"  # ours: with --target pip notes scripts elsewhere
    r"|/venv/lib/python[0-9.]+/site-packages/maskline\.pth$"  # ours, by the Dockerfile
    r"|/usr/local/"  # where an image of Python's has Python itself
    r"|/usr/bin/python$|/(usr/)?lib/ssl/|/usr/share/ca-certificates/|/usr/lib/locale/"
    r"|/usr/(share|lib)/.*\.(cache|pyc)$|/__pycache__/|\.dist-info/"
)


def unnamed_files(root: Path) -> list[str]:
    """Give the paths of files that neither Debian's nor Python's packages have brought."""
    named = files_of_packages(root) | set(_files_of_python(root))
    return sorted(path for path in _files(root) if path not in named and not _MADE.search(path))


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for file in (Path(folder) / name for name in names):
            # What Debian's alternatives choose among its packages' programs is a link there.
            if not (file.is_symlink() and str(file.readlink()).startswith("/etc/alternatives/")):
                yield f"/{file.relative_to(root)}"


def _files_of_python(root: Path) -> Iterator[str]:
    """Give what the packages' own records name."""
    for site in site_folders(root):
        for record in site.glob("*.dist-info/RECORD"):
            with record.open(newline="") as lines:
                for path, *_ in csv.reader(lines):
                    yield f"/{os.path.relpath(site / path, root)}"
