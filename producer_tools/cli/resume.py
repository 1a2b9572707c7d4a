"""`maskline resume`: lift a halt for dead letters in a row."""

import asyncio

import typer

from consumer.settings import KafkaSettings, load
from producer_tools.cli.output import print_message
from producer_tools.client.resume import resume

app = typer.Typer(add_completion=False)


@app.command("resume")
def lift_halt() -> None:
    """Lift a halt for dead letters in a row, once what caused them is mended."""
    settings = load(KafkaSettings)
    after = asyncio.run(resume(settings))
    if after is None:
        print_message(f"group {settings.consumer_group} has not halted for dead letters in a row")
    else:
        print_message(f"the line goes on behind offset {after}, its count of dead letters at 0")
