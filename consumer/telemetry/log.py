"""The log on stderr, one line an event: JSON, or coloured text for a terminal.

Events are named noun.verb_past: `log.info("lane.opened", offset=offset)`.
"""

import logging
import os
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from consumer.telemetry.secrets import Secrets

NO_SECRETS = Secrets(())
LOUDEST_LIBRARIES = logging.WARNING
REPEATED_SECONDS = 1.0
_REMEMBERED = 1000
_OURS = ("level", "timestamp")


def configure(
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    renderer: Literal["json", "console"],
    *,
    secrets: Secrets = NO_SECRETS,
) -> None:
    """Send all logging to stderr; none of the `secrets` appears there, wherever it comes from."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last = _last(renderer, secrets)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(_is_news)
    handler.addFilter(_Repetitions())
    # At INFO, aiokafka, botocore and uvicorn repeat what our own events report.
    logging.basicConfig(level=LOUDEST_LIBRARIES, handlers=[handler], force=True)
    # Kafka 4 refuses each transaction's first batch once. The retry is routine.
    logging.getLogger("aiokafka.producer.sender").setLevel(logging.ERROR)
    # Credentials that can't be renewed are a hold, which gives the reason without a traceback.
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the record is worth a line.

    When a lane is lost in a transaction, `lane.lost` gives the reason. aiokafka leaves the same
    error in futures that it never hands out, and asyncio logs each of them.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return not (record.name == "asyncio" and kind and kind.__module__.startswith("aiokafka."))


class _Repetitions(logging.Filter):
    """Drops a line that a library repeats: aiokafka logs every try to reach a lost broker."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        line = (record.name, record.getMessage())
        if record.created - self._logged.get(line, 0.0) < REPEATED_SECONDS:
            return False
        if len(self._logged) == _REMEMBERED:
            self._logged.clear()
        self._logged[line] = record.created
        return True


def _last(renderer: str, secrets: Secrets) -> list[Processor]:
    """Give the steps that turn an event into a line; no path leads around those that hide."""
    if renderer == "console":
        colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        # Not rich's tracebacks: they print local variables.
        plain = structlog.dev.plain_traceback
        lines = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)

        def hide_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
            return secrets.hide(str(lines(logger, method, event)))

        return [hide_line]

    def hide_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        # Before it is JSON: a short secret could be one of its words or numbers.
        return {
            key: value if key in _OURS else secrets.hide_all(value) for key, value in event.items()
        }

    json = structlog.processors.JSONRenderer()
    return [structlog.processors.format_exc_info, hide_values, json]
