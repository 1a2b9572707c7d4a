"""The source specifications' own examples, unchanged but for host, port, key and file names."""

import time
from pathlib import Path

import pytest

from tests.support.gateway_line import KEYS, PHOTO, Line

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).with_name("examples")
HOSTS = ("http://localhost:5000", "http://localhost:8000")


@pytest.fixture(autouse=True)
def _photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the examples open, and less patience than theirs."""
    monkeypatch.chdir(tmp_path)
    for name in ("input.jpg", "image1.jpg", "image2.jpg", "image3.jpg"):
        Path(name).write_bytes(PHOTO)
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / 50))


def run(name: str, line: Line, *, key: str = "your-api-key") -> None:
    """Run an example in this process."""
    source = (EXAMPLES / f"{name}.py.txt").read_text().replace("your-api-key", key)
    for host in HOSTS:
        source = source.replace(host, line.url)
    exec(compile(source, name, "exec"), {"__name__": "__main__"})  # noqa: S102 - it is the point


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the example leaves its files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_seed_2_submits_and_monitors(running: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """Both images are done, with the stand-in of u2net."""
    run("seed2_submit_and_monitor", running)
    said = capsys.readouterr().out
    assert "Progress: 2/2" in said
    assert "Final status: completed" in said
    assert "Results: [" in said


def test_seed_2_shows_a_dashboard(running: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure is there."""
    run("seed2_dashboard", running)
    assert "Status: running" in capsys.readouterr().out


def test_seed_3_submits_and_polls(running: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """It is completed, with its seed."""
    run("seed3_submit_and_poll", running)
    said = capsys.readouterr().out
    assert "✅ Completed! Result: trivial_" in said
    assert "Seed used: 42" in said


def test_seed_3_submits_several(running: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """All three are completed."""
    run("seed3_batch_submission", running)
    said = capsys.readouterr().out
    assert "Submitted 3 jobs" in said
    assert said.count("→") == 3


def test_seed_3_meets_a_full_queue(
    still: Line, second: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    """The branches of 429, with a key."""
    with second.client(headers={"X-API-Key": KEYS[0]}) as client:
        for _ in range(3):
            files, data = {"image": ("a.jpg", PHOTO)}, {"instruction": "x"}
            answer = client.post("/api/v1/submit", files=files, data=data)
            assert answer.status_code == 200
    with pytest.raises(SystemExit):
        run("seed3_submit_and_poll", second, key=KEYS[1])
    assert "Queue is full, try again later" in capsys.readouterr().out
    run("seed3_batch_submission", second, key=KEYS[1])
    said = capsys.readouterr().out
    assert said.count("Queue full, skipping") == 3
    assert "Submitted 0 jobs" in said
