"""`maskline topics`: creates and checks the topics of a line."""

import asyncio

import typer

from consumer.kafka import topics
from consumer.settings import KafkaSettings, load
from producer_tools.cli.output import Format, FormatOption, print_message, write_rows

app = typer.Typer(no_args_is_help=True, help="The line's topics.")


@app.command("create")
def create_topics() -> None:
    """Create the topics that are missing."""
    made, differences = asyncio.run(topics.create(load(KafkaSettings)))
    for name in made:
        print_message(f"made topic {name}")
    for found in differences:
        print_message(f"topic {found.topic} {found.detail}")
    if not made and not differences:
        print_message("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        raise typer.Exit(3)


@app.command("check")
def check_topics(output: FormatOption = Format.table) -> None:
    """Show how the topics differ from what they should be."""
    differences = asyncio.run(topics.check(load(KafkaSettings)))
    rows = [
        {"topic": found.topic, "differs": found.detail, "fatal": found.fatal}
        for found in differences
    ]
    write_rows(("topic", "differs", "fatal"), rows, output)
    if not differences:
        print_message("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        print_message(topics.HOW_TO_MEND)
        raise typer.Exit(3)
