"""The command `maskline` with its subcommands."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from consumer.errors import StartError
from producer_tools.cli.output import print_message
from producer_tools.errors import ToolError
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError

COMMANDS = (
    "consume",
    "gateway",
    "topics",
    "submit",
    "status",
    "watch",
    "jobs",
    "stats",
    "cancel",
    "replay",
    "dead-letters",
    "resume",
    "doctor",
    "models",
    "schemas",
    "demo",
)
MODEL_EXIT = 4
SERVICE_EXIT = 3


class _CommandsByModule(TyperGroup):
    """Imports a command's module when it is used, so that no command loads libraries of another."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of `maskline --help`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command in `producer_tools/cli/<command>.py`."""
        if cmd_name not in COMMANDS:
            return None
        module = f"producer_tools.cli.{cmd_name.replace('-', '_')}"
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_CommandsByModule,
    name="maskline",
    help="Photos of people come in on Kafka, body-region masks come out: in order, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def maskline() -> None:
    """Photos of people come in on Kafka, body-region masks come out: in order, exactly once."""


def main() -> None:
    """Run `maskline`. If a command can't start, print the reason and exit with its code.

    The code is 2 for wrong settings, 3 if a service can't be reached, 4 if a model is missing or
    broken, 130 after Ctrl-C.
    """
    try:
        app()
    except (StartError, ToolError) as error:
        print_message(f"maskline: {error}")
        sys.exit(error.exit_code)
    except ModelError as error:
        print_message(f"maskline: {error}")
        sys.exit(MODEL_EXIT)
    except (EngineUnavailable, DeadlineExceeded) as error:  # from `models check`
        print_message(f"maskline: {error}")
        sys.exit(SERVICE_EXIT)
