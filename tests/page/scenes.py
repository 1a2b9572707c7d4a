"""What a line may look like: the gateway's overview, in each state that the page must show."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

JsonObject = dict[str, Any]

_HELD = (
    "http://s3.example:9000/ doesn't answer (connection refused). Holding, next try in 4 s; see"
    " S3_ENDPOINT_URL"
)
_HALTED = (
    "100 dead letters in a row, the last one callback_forbidden. Mend the cause, then"
    " run maskline resume"
)
_USERS = ("u-42", "studio", "station-3")


def stamp(moment: datetime) -> str:
    """Write a moment as the gateway does."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def ago(seconds: float) -> str:
    """Write the moment so many seconds ago."""
    return stamp(now() - timedelta(seconds=seconds))


def empty() -> JsonObject:
    """Nothing was ever submitted."""
    return {
        "now": ago(0),
        "open": True,
        "events_before": 0,
        "line": {"state": "running", "reason": None, "code": None, "since": None},
        "limits": {"queue_max": 100, "in_flight": 16},
        "counts": dict.fromkeys(("queued", "begun", "completed", "failed", "cancelled"), 0),
        "last_settled_at": None,
        "begun": [],
        "next": [],
        "completed": [],
        "failed": [],
        "minutes": minutes([0] * 60, [0] * 60, [0] * 60),
    }


def busy(names: Sequence[str] = ("front.jpg",)) -> JsonObject:
    """A line at work."""
    ended = [26 + (7 * i) % 9 - (i % 5) for i in range(60)]
    lag = [max(0, int(40 - abs(35 - i) * 1.6 + (i * 7) % 5)) for i in range(60)]
    failures = [1 if i in (12, 13, 40) else 0 for i in range(60)]
    scene = empty() | {
        "counts": {"queued": 23, "begun": 3, "completed": 1648, "failed": 3, "cancelled": 2},
        "last_settled_at": ago(1),
        "begun": [
            job(203 + i, names[i % len(names)], state="processing", begun_at=ago(1.4 - i * 0.5))
            for i in range(3)
        ],
        "next": [job(210 + i, names[i % len(names)], submitted_at=ago(9 - i)) for i in range(6)],
        "completed": [
            ended_job(200 - i, names[i % len(names)], seconds=3 + 2.1 * i) for i in range(12)
        ],
        "failed": failures_of_a_day()[:2],
        "minutes": minutes(ended, failures, lag),
    }
    scene["failed"][0]["ended_at"] = ago(310)
    return scene


def held(names: Sequence[str] = ("front.jpg",)) -> JsonObject:
    """S3 is away."""
    scene = busy(names)
    error = {"code": "storage_unavailable", "message": _HELD, "stage": "fetch", "retryable": True}
    scene["line"] = {
        "state": "held",
        "reason": _HELD,
        "code": "storage_unavailable",
        "since": ago(192),
    }
    for each in scene["begun"]:
        each.update(state="retrying", attempt=2, error=error, begun_at=ago(195))
    scene["counts"].update(queued=61)
    scene["last_settled_at"] = ago(196)
    return scene


def halted(names: Sequence[str] = ("front.jpg",)) -> JsonObject:
    """Too many dead letters in a row."""
    scene = busy(names)
    scene["line"] = {"state": "halted", "reason": _HALTED, "code": None, "since": None}
    scene["begun"] = []
    scene["counts"].update(queued=97, begun=0, failed=103)
    scene["last_settled_at"] = ago(640)
    scene["failed"] = [
        failed_job(
            300 - i,
            "callback_forbidden",
            "https://assets.example is not in CALLBACK_ALLOWED_ORIGINS",
            stage="callback",
            seconds=640 + i,
        )
        for i in range(8)
    ]
    return scene


def failed(names: Sequence[str] = ("front.jpg",)) -> JsonObject:
    """Some photos are bad."""
    scene = busy(names)
    scene["failed"] = failures_of_a_day()
    scene["counts"].update(failed=4)
    return scene


def stopped(names: Sequence[str] = ("front.jpg",)) -> JsonObject:
    """No consumer runs."""
    scene = busy(names)
    scene["line"] = {"state": "stopped", "reason": None, "code": None, "since": None}
    scene["begun"] = []
    scene["counts"].update(queued=26, begun=0)
    return scene


def failures_of_a_day() -> list[JsonObject]:
    """Return failures of several kinds."""
    return [
        failed_job(186, "invalid_image", "not a photo: cannot identify the file", seconds=41),
        failed_job(185, "image_too_large", "81.0 megapixels, at most 50 allowed", seconds=700),
        failed_job(
            171,
            "image_not_found",
            "s3://uploads/u-42/<b>front</b>.jpg: no such object",
            stage="fetch",
            seconds=1900,
        ),
        failed_job(160, "crash_loop", "the process crashed 3 times at this job", seconds=3100),
    ]


def job(offset: int, name: str, **fields: object) -> JsonObject:
    """Return a job that waits."""
    return {
        "job_id": f"{offset:08x}-a7db-4c51-9b5e-3f0e3a1c2d4b",
        "user_id": _USERS[offset % 3],
        "offset": offset,
        "state": "queued",
        "batch": None,
        "filename": name,
        "submitted_at": ago(20),
        "begun_at": None,
        "ended_at": None,
        "attempt": 1,
        "model": None,
        "error": None,
        "outputs": [],
        "coverage": {},
    } | fields


def ended_job(offset: int, name: str, *, seconds: float) -> JsonObject:
    """Return a job that is done."""
    return job(
        offset,
        name,
        state="completed",
        submitted_at=ago(seconds + 9),
        begun_at=ago(seconds + 0.6),
        ended_at=ago(seconds),
        model="body-regions",
        outputs=["upper_body_mask", "lower_body_mask", "cutout"],
        coverage={"upper_body_mask": 0.243, "lower_body_mask": 0.0712},
    )


def failed_job(
    offset: int, code: str, message: str, *, stage: str = "preprocess", seconds: float
) -> JsonObject:
    """Return a job that failed."""
    return job(
        offset,
        f"IMG_{offset:04}.jpg",
        state="failed",
        begun_at=ago(seconds + 0.2),
        ended_at=ago(seconds),
        error={"code": code, "message": message, "stage": stage, "retryable": False},
    )


def minutes(ended: Sequence[int], failures: Sequence[int], lag: Sequence[int]) -> list[JsonObject]:
    """Return the history of the last hour, the present minute last."""
    last = now().replace(second=0, microsecond=0)
    return [
        {
            "at": stamp(last - timedelta(minutes=len(ended) - 1 - i)),
            "completed": done - bad,
            "failed": bad,
            "cancelled": 0,
            "unsettled": unsettled,
        }
        for i, (done, bad, unsettled) in enumerate(zip(ended, failures, lag, strict=True))
    ]


SCENES: dict[str, Callable[[Sequence[str]], JsonObject]] = {
    "empty": lambda names: empty(),
    "busy": busy,
    "held": held,
    "halted": halted,
    "failed": failed,
    "stopped": stopped,
}
"""Each state of the line by name. The functions take the names of photos."""
