"""`maskline consume`."""

import typer

from consumer.__main__ import run

app = typer.Typer(add_completion=False)
app.command("consume")(run)
