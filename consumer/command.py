"""The command that runs the consumer."""

import asyncio
import sys
import warnings
from typing import Annotated

import structlog
import typer

from consumer import environment, malloc_arenas, signals
from consumer.app import consume
from consumer.errors import LaneHalted, StartError
from consumer.kafka.committed import RunProgress
from consumer.line.run import Run
from consumer.settings import ServingSettings, Settings, load
from consumer.telemetry import log
from consumer.telemetry.log_stream import LogStream
from consumer.telemetry.secrets import Secrets
from schemas.replay import check_replay_id

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

JOB_FAILED, HALTED = 1, 3


@app.command()
def run(
    from_offset: Annotated[
        int | None,
        typer.Option(
            min=0, help="Start here, past records that the topic has lost; of a replay, its first."
        ),
    ] = None,
    to_offset: Annotated[
        int | None,
        typer.Option(min=0, help="Of a replay: end before this offset."),
    ] = None,
    replay_id: Annotated[
        str | None,
        typer.Option(
            help="Do records again as the replay of this name, from --from-offset to --to-offset,"
            " and end. The line goes on beside it. Started again, it goes on where it stopped."
        ),
    ] = None,
) -> None:
    """Run the consumer: photos in, masks out, until SIGTERM."""
    asked = _asked_run(replay_id, from_offset, to_offset)
    malloc_arenas.limit()
    if sys.warnoptions:  # PYTHONWARNINGS=error would make failures of a library's warnings
        warnings.simplefilter("default")
    with LogStream.on_stderr() as log_stream:
        exit_code = _run(None if asked else from_offset, asked, log_stream)
    raise typer.Exit(exit_code)


def _asked_run(replay_id: str | None, from_offset: int | None, to_offset: int | None) -> Run | None:
    if replay_id is None:
        if to_offset is not None:
            raise typer.BadParameter("--to-offset is for a replay: it needs --replay-id")
        return None
    if from_offset is None or to_offset is None or to_offset < from_offset:
        raise typer.BadParameter(
            "--replay-id needs --from-offset A and --to-offset B, where A isn't behind B"
        )
    try:
        return Run(check_replay_id(replay_id), range(from_offset, to_offset))
    except ValueError as error:
        raise typer.BadParameter(f"--replay-id {replay_id!r}: {error}") from None


def _run(from_offset: int | None, asked: Run | None, log_stream: LogStream) -> int:
    """Run the consumer; give its exit code, with the reason in the log."""
    log.configure("INFO", "json")
    try:
        environment.check()
        serving = load(ServingSettings)
        log.configure(serving.log_level, serving.log_format)
        settings = Settings()
        secrets = Secrets(settings.secrets())
        log.configure(serving.log_level, serving.log_format, secrets=secrets)
        ended = asyncio.run(
            consume(
                settings,
                secrets=secrets,
                from_offset=from_offset,
                run=asked,
                log_stream=log_stream,
            )
        )
    except StartError as error:
        structlog.get_logger().error("consumer.not_started", reason=str(error))
        return error.exit_code
    except LaneHalted as error:
        structlog.get_logger().error("run.halted", reason=str(error))
        return HALTED
    except Exception as error:
        structlog.get_logger().error("consumer.crashed", exc_info=error)
        return 1
    return 0 if asked is None else _sum_up(asked, ended)


def _sum_up(asked: Run, ended: RunProgress | None) -> int:
    """Say what came of a replay run; give its exit code."""
    if ended is None:
        structlog.get_logger().warning("run.interrupted", replay_id=asked.replay_id)
        return signals.INTERRUPTED
    counts = {
        state: count
        for state, count in (
            ("completed", ended.completed),
            ("failed", ended.failed),
            ("cancelled", ended.cancelled),
        )
        if count
    }
    structlog.get_logger().info("run.ended", replay_id=asked.replay_id, **counts)
    print(", ".join(f"{count} {state}" for state, count in counts.items()) or "no records")
    return JOB_FAILED if ended.failed or ended.cancelled else 0
