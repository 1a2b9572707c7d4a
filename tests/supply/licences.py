"""The licences of all that ships: docs/licences.md, written from the bill of material.

`python -m tests.supply.licences` writes it.
"""

import re
from collections import defaultdict

from tests.supply.bill import Bill, bill_of_package, licences_of
from tests.supply.locked import ROOT

PAGE = ROOT / "docs" / "licences.md"
ALLOWED = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0",
        "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
    }
)  # fmt: skip
"""Each lets us ship the part as it is, with its text. The image has the texts (`dist-info`)."""
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
}
"""Classifiers that name a licence less exactly than SPDX does."""
_TABLE = "| licence | packages |\n|---|---|\n"


def licences_of_parts(bill: Bill) -> dict[str, list[str]]:
    """Give the licences of each package, by SPDX's names."""
    return {
        part["name"]: sorted(
            {
                one
                for name in licences_of(part)
                for one in re.split(r" (?:AND|OR) ", _SPDX.get(name, name))
            }
        )
        for part in bill["components"]
        if part["type"] == "library"
    }


def renewed(page: str, bill: Bill) -> str:
    """Give the page with the table of the bill."""
    packages: dict[str, list[str]] = defaultdict(list)
    for name, licences in licences_of_parts(bill).items():
        packages[", ".join(licences)].append(name)
    rows = [
        f"| {licences} | {', '.join(sorted(names, key=str.lower))} |"
        for licences, names in sorted(packages.items())
    ]
    before, _, _ = page.partition(_TABLE)
    return before + _TABLE + "\n".join([*rows, ""])


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(), bill_of_package()))
