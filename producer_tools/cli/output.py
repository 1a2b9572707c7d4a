"""The output of commands: data goes to stdout in the chosen format, messages go to stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table

# A table that isn't written to a terminal may be wider than 80 columns.
_FILE_WIDTH = 200

Row = Mapping[str, object]


class Format(StrEnum):
    """How data is written to stdout."""

    table = "table"
    json = "json"
    jsonl = "jsonl"


FormatOption = Annotated[Format, typer.Option("--format", help="How to write the data.")]


def stderr_console() -> Console:
    """Return the console for messages and progress: stderr, without colours if NO_COLOR is set."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def progress_bar(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """Return a bar on stderr, which is shown on a terminal only."""
    console = stderr_console()
    return Progress(
        *columns,
        console=console,
        transient=transient,
        disable=not console.is_terminal,
        # rich would write our data to stderr as well, also if stdout is a pipe.
        redirect_stdout=sys.stdout.isatty(),
    )


def print_message(text: str) -> None:
    """Print a message for people to stderr."""
    stderr_console().print(text, markup=False)


def write_rows(columns: Sequence[str], rows: Sequence[Row], output: Format) -> None:
    """Write rows to stdout: the named columns as a table, or every field as JSON."""
    if output is Format.json:
        print(json.dumps(rows, indent=2))
    elif output is Format.jsonl:
        for row in rows:
            print(json.dumps(row))
    elif rows:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
        for column in columns:
            numbers = any(_is_number(row[column]) for row in rows)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(row[column]) for column in columns))
        Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, markup=False).print(table)


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else str(value)
