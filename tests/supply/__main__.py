"""`make sbom`: the bill of material of the package, or of an image that podman has."""

import json
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from tests.supply.bill import bill_of_image, bill_of_package, licences_of
from tests.supply.locked import ROOT

FOLDER = ROOT / "build" / "sbom"


def main(
    image: Annotated[
        str | None, typer.Option(help="An image that podman has, by its name.")
    ] = None,
) -> None:
    """Write the bill, and say how many parts it has and by which licences."""
    if image is None:
        bill, file = bill_of_package(), FOLDER / "maskline.cdx.json"
    else:
        mounted = _podman("image", "mount", image)
        try:
            bill, file = bill_of_image(Path(mounted)), FOLDER / "image.cdx.json"
        finally:
            _podman("image", "unmount", image)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill, indent=1) + "\n")
    licences = {name for part in bill["components"] for name in licences_of(part)}
    print(f"{file.relative_to(ROOT)}: {len(bill['components'])} parts, by {len(licences)} licences")


def _podman(*arguments: str) -> str:
    command = ["podman", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
