"""The command that runs the consumer."""

import asyncio
import sys
import warnings
from typing import Annotated

import structlog
import typer

from consumer import environment, malloc_arenas
from consumer.app import consume
from consumer.errors import StartError
from consumer.settings import ServingSettings, Settings, load
from consumer.telemetry import log
from consumer.telemetry.log_stream import LogStream
from consumer.telemetry.secrets import Secrets

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    from_offset: Annotated[
        int | None,
        typer.Option(min=0, help="Start here, past records that the topic has lost."),
    ] = None,
) -> None:
    """Run the consumer: photos in, masks out, until SIGTERM."""
    malloc_arenas.limit()
    if sys.warnoptions:  # PYTHONWARNINGS=error would make failures of a library's warnings
        warnings.simplefilter("default")
    with LogStream.on_stderr() as log_stream:
        exit_code = _run(from_offset, log_stream)
    raise typer.Exit(exit_code)


def _run(from_offset: int | None, log_stream: LogStream) -> int:
    """Run the consumer; give its exit code, with the reason in the log."""
    log.configure("INFO", "json")
    try:
        environment.check()
        serving = load(ServingSettings)
        log.configure(serving.log_level, serving.log_format)
        settings = Settings()
        secrets = Secrets(settings.secrets())
        log.configure(serving.log_level, serving.log_format, secrets=secrets)
        asyncio.run(
            consume(settings, secrets=secrets, from_offset=from_offset, log_stream=log_stream)
        )
    except StartError as error:
        structlog.get_logger().error("consumer.not_started", reason=str(error))
        return error.exit_code
    except Exception as error:
        structlog.get_logger().error("consumer.crashed", exc_info=error)
        return 1
    return 0
