"""`maskline`: every verb. Data goes to stdout, words to stderr; exit codes are the contract's."""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from consumer import topics
from consumer.__main__ import run
from consumer.errors import StartError
from consumer.settings import KafkaSettings, load
from consumer.topics import Difference
from schemas.export import export

app = typer.Typer(
    name="maskline",
    help="Photos of people come in on Kafka, body-region masks come out: in order, exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(no_args_is_help=True, help="The line's topics.")
schemas_app = typer.Typer(no_args_is_help=True, help="The message contract.")
app.add_typer(topics_app, name="topics")
app.add_typer(schemas_app, name="schemas")
app.command("consume")(run)


class Format(StrEnum):
    """How data is written to stdout."""

    table = "table"
    json = "json"
    jsonl = "jsonl"


FormatOption = Annotated[Format, typer.Option("--format", help="How to write the data.")]


@topics_app.command("create")
def create_topics() -> None:
    """Make the topics that are missing."""
    made, differences = asyncio.run(topics.create(load(KafkaSettings)))
    for name in made:
        _say(f"made topic {name}")
    for found in differences:
        _say(f"topic {found.topic} {found.says}")
    if not made and not differences:
        _say("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        raise typer.Exit(3)


@topics_app.command("check")
def check_topics(output: FormatOption = Format.table) -> None:
    """Say how the topics differ from what they should be."""
    differences = asyncio.run(topics.check(load(KafkaSettings)))
    _write(differences, output)
    if not differences:
        _say("all topics are there, as they should be")
    if any(found.fatal for found in differences):
        _say(topics.MEND)
        raise typer.Exit(3)


@schemas_app.command("export")
def export_schemas(directory: Path) -> None:
    """Write JSON Schema and AsyncAPI of every message into DIRECTORY."""
    export(directory)
    _say(f"schemas written to {directory}")


def main() -> None:
    """Run `maskline`; what can't start says why, and its exit code says of what kind it is."""
    try:
        app()
    except StartError as error:
        _say(f"maskline: {error}")
        sys.exit(error.exit_code)


def _say(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(words, markup=False)


def _write(differences: list[Difference], output: Format) -> None:
    rows = [
        {"topic": found.topic, "differs": found.says, "fatal": found.fatal} for found in differences
    ]
    if output is Format.json:
        print(json.dumps(rows, indent=2))
    elif output is Format.jsonl:
        for row in rows:
            print(json.dumps(row))
    elif rows:
        table = Table("topic", "differs", "fatal")
        for found in differences:
            table.add_row(found.topic, found.says, "yes" if found.fatal else "no")
        Console().print(table)


if __name__ == "__main__":
    main()
