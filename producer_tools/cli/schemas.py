"""`maskline schemas`: writes the message contract to files."""

from pathlib import Path

import typer

from producer_tools.cli.output import print_message
from schemas.export import export

app = typer.Typer(no_args_is_help=True, help="The message contract.")


@app.callback()
def schemas() -> None:
    """The message contract."""


@app.command("export")
def export_schemas(directory: Path) -> None:
    """Write JSON Schema and AsyncAPI of every message into DIRECTORY."""
    export(directory)
    print_message(f"schemas written to {directory}")
