"""Tables of figures on stdout."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH = 110


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print a table: the first column is words, the others are figures."""
    table = Table(box=box.SIMPLE_HEAD)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if Console().is_terminal else _WIDTH, highlight=False)
    console.print(title, table, *([f"  {note}"] if note else []), "", sep="\n", soft_wrap=True)
