"""Variables that libraries would read neither change the consumer nor end it in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.environment import IGNORED

USED = """
import consumer.command
import ssl, uvicorn
from consumer.telemetry.metrics import Metrics

Metrics().lanes_lost.inc()
uvicorn.Config(None, log_config=None)
ssl.create_default_context()
print("fine")
"""
CONSUMER = ("-m", "consumer")


def test_libraries_do_not_see_what_is_ignored(tmp_path: Path) -> None:
    """No file is made, and no value is too odd."""
    wishes = dict.fromkeys(IGNORED, "odd") | {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "SSLKEYLOGFILE": str(tmp_path / "keys"),
    }
    ran = run("-c", USED, **wishes)
    assert (0, "fine\n", "") == (ran.returncode, ran.stdout, ran.stderr)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONOPTIMIZE", "1"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONDEVMODE", "1"),
        ("PYTHONIOENCODING", "ascii:strict"),
        ("LC_ALL", "C"),
        ("COLUMNS", "many"),
        ("TERMINAL_WIDTH", "wide"),
        ("TZ", "nowhere"),
        ("HOME", "/dev/null/nowhere"),
        ("TMPDIR", "/dev/null/nowhere"),
    ],
)
def test_no_variable_of_python_gives_a_traceback(name: str, value: str) -> None:
    """A wrong setting beside it is still said in one line."""
    ran = run(*CONSUMER, LOG_LEVEL="l\u00e4ut", **{name: value})
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "consumer.not_started" in ran.stderr
    assert ("PYTHONOPTIMIZE" if name == "PYTHONOPTIMIZE" else "LOG_LEVEL") in ran.stderr


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables on top of ours."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
