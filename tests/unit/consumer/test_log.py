import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator

import pytest
import structlog
from aiokafka.errors import ProducerFenced

from consumer.telemetry import log
from consumer.telemetry.secrets import Secrets
from tests.support.own_logging import own_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the process its own logging back."""
    with own_logging():
        yield


def test_our_words_are_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, with level and time; nothing on stdout, where data goes."""
    log.configure("INFO", "json")
    with structlog.contextvars.bound_contextvars(offset=17):
        structlog.get_logger().info("job.settled", job_id="j-1")
        structlog.get_logger().debug("fetch.started")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    logged = json.loads(line)
    assert logged.pop("timestamp").endswith("Z")
    assert logged == {"event": "job.settled", "level": "info", "job_id": "j-1", "offset": 17}


def test_libraries_speak_through_the_same_door(capsys: pytest.CaptureFixture[str]) -> None:
    """From WARNING on, with the library's name; a traceback stays in its line."""
    log.configure("DEBUG", "json")
    logging.getLogger("aiokafka.consumer").info("quiet")
    logging.getLogger("aiokafka.consumer").warning("group %s", "lost")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("botocore").exception("failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["logger"]) == ("group lost", "aiokafka.consumer")
    assert "ValueError: broken" in second["exception"]
    assert (third["logger"], "old" in third["event"]) == ("py.warnings", True)


def test_a_library_that_repeats_itself_is_heard_once_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words as they come out count; other words, and ours, are all heard."""
    log.configure("INFO", "json")
    for node in (1, 1, 2, 1):
        logging.getLogger("aiokafka").error("no node %s", node)
        structlog.get_logger().info("job.settled")
    monkeypatch.setattr(log, "REPEATED_SECONDS", 0.0)
    logging.getLogger("aiokafka").error("no node %s", 1)

    logged = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]

    assert [event for event in logged if event != "job.settled"] == [
        *("no node 1", "no node 2", "no node 1")
    ]
    assert logged.count("job.settled") == 4


def test_kafka_errors_that_a_lost_lane_leaves_behind_are_no_news(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another error in a future that is never awaited is logged."""
    log.configure("INFO", "json")
    for error in (ProducerFenced(), ValueError("new")):
        never_asked = {"message": "Future exception was never retrieved", "exception": error}
        loop = asyncio.new_event_loop()
        loop.call_exception_handler(never_asked)
        loop.close()

    (logged,) = capsys.readouterr().err.splitlines()

    assert "ValueError: new" in logged


@pytest.mark.parametrize("renderer", ["json", "console"])
def test_a_secret_never_appears(renderer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not as a value, in a message, in a traceback or in a library's words, however quoted."""
    secrets = ['pass"word\\1', "hunter2"]
    log.configure("INFO", renderer, secrets=Secrets(secrets))  # type: ignore[arg-type]
    ours = structlog.get_logger()
    for secret in secrets:
        ours.info("a.thing", value=secret, nested={"x": [secret]})
        ours.info(f"b {secret}")
        logging.getLogger("httpx").warning("header %s", secret)
        try:
            raise ValueError(secret)
        except ValueError:
            ours.exception("c.failed")
    err = capsys.readouterr().err
    assert err.count("***") >= 10
    for secret in (*secrets, json.dumps(secrets[0])[1:-1], repr(secrets[0])[1:-1]):
        assert secret not in err


@pytest.mark.parametrize("secret", ["17", "true", "info", ",", '"', "event"])
def test_a_short_secret_leaves_the_line_json(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is hidden in texts, and numbers and JSON's own words stay."""
    log.configure("INFO", "json", secrets=Secrets([secret]))
    structlog.get_logger().info("job.settled", offset=17, ok=True, said=f"it is {secret} !")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["offset"], said["ok"]) == ("info", 17, True)
    assert said["said"] == "it is *** !"


def test_no_secrets_hide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty secret is none."""
    log.configure("INFO", "console", secrets=Secrets(["", ""]))
    structlog.get_logger().info("a.thing", value="word")
    assert "value=word" in capsys.readouterr().err


def test_console_has_colours_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A file or a pipe gets plain text."""
    log.configure("INFO", "console")
    structlog.get_logger().warning("line.held", reason="S3 is down")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "line.held" in err


def test_stdout_stays_empty_in_a_process_of_its_own() -> None:
    """Also for what is logged while the process ends."""
    script = """
        import structlog
        from consumer.telemetry import log
        log.configure("INFO", "json")
        structlog.get_logger().info("a.done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert json.loads(done.stderr)["event"] == "a.done"
