"""`maskline gateway`."""

import asyncio
import sys
import warnings

import structlog
import typer

from consumer.environment import check
from consumer.errors import StartError
from consumer.settings import ServingSettings, load
from consumer.telemetry import log
from consumer.telemetry.log_stream import LogStream
from consumer.telemetry.secrets import Secrets
from producer_tools.gateway.server import serve
from producer_tools.gateway.settings import Settings
from segmentation.errors import ModelError

app = typer.Typer(add_completion=False)
_MODEL_EXIT = 4


@app.command("gateway")
def run() -> None:
    """Run the HTTP gateway, until SIGTERM."""
    if sys.warnoptions:  # PYTHONWARNINGS=error would make failures of a library's warnings
        warnings.simplefilter("default")
    with LogStream.on_stderr():
        exit_code = _run()
    raise typer.Exit(exit_code)


def _run() -> int:
    """Run the gateway; give its exit code, with the reason in the log."""
    log.configure("INFO", "json")
    try:
        check()
        serving = load(ServingSettings)
        log.configure(serving.log_level, serving.log_format)
        settings = Settings()
        secrets = Secrets(settings.secrets())
        log.configure(serving.log_level, serving.log_format, secrets=secrets)
        asyncio.run(serve(settings))
    except StartError as error:
        structlog.get_logger().error("gateway.not_started", reason=str(error))
        return error.exit_code
    except ModelError as error:
        structlog.get_logger().error("gateway.not_started", reason=str(error))
        return _MODEL_EXIT
    except Exception as error:
        structlog.get_logger().error("gateway.crashed", exc_info=error)
        return 1
    return 0
