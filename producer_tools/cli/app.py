"""`maskline`: every verb. Data goes to stdout, words to stderr; exit codes are the contract's."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from consumer.errors import StartError
from producer_tools.cli.output import print_message
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError

VERBS = ("consume", "demo", "topics", "models", "schemas")
MODEL_EXIT = 4
SERVICE_EXIT = 3


class _Verbs(TyperGroup):
    """Imports a verb's module when the verb is used: none waits for another's libraries."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the verbs in the order of `maskline --help`."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give the command of `producer_tools/cli/<verb>.py`."""
        if cmd_name not in VERBS:
            return None
        command = typer.main.get_command(import_module(f"producer_tools.cli.{cmd_name}").app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Verbs,
    name="maskline",
    help="Photos of people come in on Kafka, body-region masks come out: in order, exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def maskline() -> None:
    """Photos of people come in on Kafka, body-region masks come out: in order, exactly once."""


def main() -> None:
    """Run `maskline`; what can't start says why, and its exit code says of what kind it is."""
    try:
        app()
    except StartError as error:
        print_message(f"maskline: {error}")
        sys.exit(error.exit_code)
    except ModelError as error:
        print_message(f"maskline: {error}")
        sys.exit(MODEL_EXIT)
    except (EngineUnavailable, DeadlineExceeded) as error:  # of `models check`
        print_message(f"maskline: {error}")
        sys.exit(SERVICE_EXIT)


if __name__ == "__main__":
    main()
