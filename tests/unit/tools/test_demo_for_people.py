"""What the demo shows people: its exit codes, its table, and where things are."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from producer_tools.cli.output import Format
from producer_tools.local.demo import demo as module
from producer_tools.local.demo.demo import LOG, DemoResult, demo, name_jobs
from producer_tools.local.errors import DiedAtStartError, LocalStackError
from schemas.status import ErrorInfo, Result, Source, State, StatusEvent, TimingsMs

SOURCE = Source(topic="mask.jobs", partition=0, offset=0)
ENDS: dict[State, dict[str, Any]] = {
    "completed": {
        "result": Result(stored_keys={}, width=3, height=4),
        "timings_ms": TimingsMs(queued=1.0, fetch=2.5, total=1234.0),
    },
    "failed": {
        "error": ErrorInfo(code="invalid_image", message="half", stage="segment", retryable=False)
    },
    "processing": {},
}

Ran = Callable[[Sequence[State | None] | BaseException], int]


def shown(job_id: str, state: State | None) -> DemoResult:
    photo = Path(f"{job_id}.jpg")
    if state is None:
        return DemoResult(job_id, photo, None, {})
    event = StatusEvent(
        event_id="e",
        job_id=job_id,
        state=state,
        occurred_at=datetime.now(UTC),
        source=SOURCE,
        worker="w",
        **ENDS[state],
    )
    return DemoResult(job_id, photo, event, {})


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    """The demo with photos that ended so, or with an error; gives its exit code."""
    photo = tmp_path / "photo.jpg"
    photo.touch()
    (tmp_path / LOG).write_text("the last words\n")

    def run(ends: Sequence[State | None] | BaseException) -> int:
        @contextmanager
        def demo_running(*_: object, **__: object) -> Iterator[tuple[list[DemoResult], None]]:
            if isinstance(ends, BaseException):
                raise ends
            yield [shown(f"photo-{index}", end) for index, end in enumerate(ends)], None

        monkeypatch.setattr(module, "demo_running", demo_running)
        return demo([photo], out=tmp_path, timeout=9, output=Format.jsonl)

    return run


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (["completed", "completed"], 0),
        (["completed", "failed"], 1),
        (["failed", None], 5),
        (["processing"], 5),
        (LocalStackError("no Java"), 3),
        (OSError("disk full"), 3),
        (DiedAtStartError("Consumer", 4, "no such model"), 4),
        (DiedAtStartError("Consumer", 2, "WORKER_COUNT"), 2),
        (DiedAtStartError("Kafka", 1, "no memory"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_shows_how_it_ended(
    ran: Ran, ends: Sequence[State | None] | BaseException, code: int
) -> None:
    assert code == ran(ends)


def test_photos_that_are_not_there_are_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = demo([tmp_path / "absent"], out=tmp_path, timeout=9, output=Format.table)
    captured = capsys.readouterr()
    assert (2, "") == (code, captured.out)
    assert "absent" in captured.err


def test_rows_are_data_and_errors_are_words(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    ran(["completed", "failed"])
    captured = capsys.readouterr()
    done, failed = map(json.loads, captured.out.splitlines())
    assert ("photo-0", "completed", 2.5, 1234.0) == tuple(
        done[name] for name in ("job", "state", "fetch", "total")
    )
    assert ("failed", "invalid_image: half", None) == tuple(
        failed[name] for name in ("state", "error", "fetch")
    )
    assert "photo-1.jpg: invalid_image: half" in captured.err
    assert "1 of 2 photos done" in captured.err


def test_what_did_not_end_is_queued_and_the_log_is_shown(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    ran([None])
    captured = capsys.readouterr()
    assert "queued" == json.loads(captured.out)["state"]
    assert "the last words" in captured.err


@pytest.mark.parametrize(
    ("photos", "jobs"),
    [
        (["a/Front view.JPG", "b/front-view.png"], ["front-view", "front-view-2"]),
        (["фото.jpg", "写真.jpg"], ["photo", "photo-2"]),
        (["x.jpg", "x-2.jpg", "X.png"], ["x", "x-2", "x-3"]),
        ([f"{'long' * 60}.jpg"], ["long" * 25]),
    ],
)
def test_jobs_are_named_after_photos(photos: list[str], jobs: list[str]) -> None:
    assert jobs == name_jobs([Path(photo) for photo in photos])
