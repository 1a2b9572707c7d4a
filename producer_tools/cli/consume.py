"""`maskline consume`."""

import typer

from consumer.command import run

app = typer.Typer(add_completion=False)
app.command("consume")(run)
