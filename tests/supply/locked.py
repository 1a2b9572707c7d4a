"""What `requirements/runtime.lock` installs on this machine."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNTIME_LOCK = ROOT / "requirements" / "runtime.lock"


def locked_versions(lock: Path = RUNTIME_LOCK, *, python: str = "") -> dict[str, str]:
    """Give the version of each package of a lock whose marker holds, by its name.

    `python`: for which version of Python, as in `3.13`; empty: for this one.
    """
    here = {"python_version": python, "python_full_version": f"{python}.0"} if python else None
    lines = re.findall(r"^([A-Za-z0-9][^#\n]*?)\s*\\?$", lock.read_text(), flags=re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in found
        if one.marker is None or one.marker.evaluate(here)
    }
