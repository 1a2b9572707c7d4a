"""The command that runs the consumer."""

import asyncio
from typing import Annotated

import structlog
import typer

from consumer import malloc_arenas
from consumer.app import consume
from consumer.errors import StartError
from consumer.settings import ServingSettings, Settings, load
from consumer.telemetry import log


def run(
    from_offset: Annotated[
        int | None,
        typer.Option(min=0, help="Start here, past records that the topic has lost."),
    ] = None,
) -> None:
    """Run the consumer: photos in, masks out, until SIGTERM."""
    malloc_arenas.limit()
    try:
        serving = load(ServingSettings)
        log.configure(serving.log_level, serving.log_format)
        settings = Settings()
        log.configure(serving.log_level, serving.log_format, secrets=settings.secrets())
        asyncio.run(consume(settings, from_offset=from_offset))
    except StartError as error:
        structlog.get_logger().error("consumer.not_started", reason=str(error))
        raise typer.Exit(error.exit_code) from error
