"""`maskline demo` as a user runs it: a real Kafka, S3, callback receiver and consumer."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support.models import TRIVIAL, write_trivial_body_model
from tests.support.photos import read, saved, stripes

pytestmark = pytest.mark.integration

COMMAND = (sys.executable, "-m", "producer_tools", "demo")
SECONDS = 200


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Ours, with the trivial model as the default one, and settings that only mislead."""
    models = tmp_path / "models"
    models.mkdir()
    write_trivial_body_model(models)
    misleading = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "JOBS_TOPIC": "other.jobs",
        "AWS_PROFILE": "missing",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    model = {"MODEL_FOLDER": str(models), "QWEN_MODEL_PATH": f"{TRIVIAL}.onnx"}
    return {**os.environ, **model, **misleading}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a photo, and a file that only its name makes one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "Striped.png").write_bytes(saved(stripes()))
    (folder / "words.jpg").write_text("not a picture")
    return folder


def test_a_folder_of_photos_becomes_masks_a_table_and_a_sheet(
    environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    """One photo is done and one can't be, and the exit code, the table and the words show it."""
    out = tmp_path / "out"
    ran = subprocess.run(
        [*COMMAND, str(photos), "--out", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert 1 == ran.returncode, ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert [["striped", "completed"], ["words", "failed"]] == [row[:2] for row in rows[2:]]
    assert "words.jpg: unsupported_format" in ran.stderr
    upper, lower = (
        read((out / "masks" / f"striped-{region}_body_mask.png").read_bytes())
        for region in ("upper", "lower")
    )
    assert np.array_equal(np.repeat([0, 255, 0, 0], 80), upper[:, 0])
    assert np.array_equal(np.repeat([0, 0, 255, 0], 80), lower[:, 0])
    with Image.open(out / "contact-sheet.png") as sheet:
        assert sheet.width > 600
    assert "consumer.stopped" in (out / "consumer.log").read_text()


def test_without_photos_it_takes_those_of_installed_packages(tmp_path: Path) -> None:
    """With the default model; the exit code is 0."""
    out = tmp_path / "out"
    ran = subprocess.run(
        [*COMMAND, "--out", str(out)], capture_output=True, text=True, timeout=SECONDS
    )
    assert 0 == ran.returncode, ran.stderr
    assert 6 == len(list((out / "masks").iterdir()))
    assert (out / "contact-sheet.png").is_file()


@pytest.fixture
def started(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has come as far as starting the consumer."""
    with subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        while "Starting the consumer" not in demo.stderr.readline():
            assert demo.poll() is None
        yield demo
        demo.kill()


def test_a_broker_that_dies_ends_the_demo_with_its_log(started: subprocess.Popen[str]) -> None:
    """It doesn't wait for what can't come any more."""
    family = psutil.Process(started.pid).children(recursive=True)
    next(child for child in family if "kafka.Kafka" in child.cmdline()).kill()
    _, words = started.communicate(timeout=100)
    assert (3, True) == (started.returncode, "ended" in words)
    assert "Traceback" not in words


def test_ctrl_c_stops_everything(started: subprocess.Popen[str]) -> None:
    """Nothing that it started outlives it."""
    family = psutil.Process(started.pid).children(recursive=True)
    assert any("kafka.Kafka" in child.cmdline() for child in family)
    started.send_signal(signal.SIGINT)
    _, words = started.communicate(timeout=60)
    assert (130, True) == (started.returncode, "Stopped." in words)
    assert "Traceback" not in words
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [] == alive
