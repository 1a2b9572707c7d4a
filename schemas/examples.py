"""Example messages. The schemas, the docs and the tests use them."""

from typing import Any

from schemas import topics

JOB: dict[str, Any] = {
    "job_id": "f20d441e-a7db-4c51-9b5e-3f0e3a1c2d4b",
    "user_id": "u-42",
    "provider": "qwen",
    "image": "s3://uploads/u-42/front.jpg",
    "image_sha256": None,
    "model": None,
    "outputs": None,
    "batch": {"batch_id": "b-7", "index": 0, "size": 12},
    "callback_url": None,
    "submitted_at": "2026-11-22T10:30:00.000Z",
    "replay_of": None,
    "metadata": {"station": "3"},
}

SMALLEST_JOB: dict[str, Any] = {
    "job_id": "f20d441e-a7db-4c51-9b5e-3f0e3a1c2d4b",
    "user_id": "u-42",
    "image": "s3://uploads/u-42/front.jpg",
}

CANCEL: dict[str, Any] = {
    "job_id": "f20d441e-a7db-4c51-9b5e-3f0e3a1c2d4b",
    "before_offset": 4711,
    "requested_at": "2026-11-22T10:31:00.000Z",
    "reason": None,
}

RESUME: dict[str, Any] = {
    "after_offset": 4710,
    "requested_at": "2026-11-22T10:31:00.000Z",
}

COMPLETED: dict[str, Any] = {
    "event_id": "0c5b1f0e-6d0c-4d1b-9f0a-5b8f6f1b2a3c",
    "job_id": "f20d441e-a7db-4c51-9b5e-3f0e3a1c2d4b",
    "user_id": "u-42",
    "provider": "qwen",
    "batch": {"batch_id": "b-7", "index": 0, "size": 12},
    "state": "completed",
    "occurred_at": "2026-11-22T10:30:01.250Z",
    "attempt": 1,
    "source": {"topic": topics.JOBS, "partition": 0, "offset": 17},
    "worker": "pod-0",
    "model": {
        "name": "body-regions",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "result": {
        "stored_keys": {
            "upper_body_mask": "minio://masks/u-42/f20d441e/upper_body_mask.png",
            "lower_body_mask": "minio://masks/u-42/f20d441e/lower_body_mask.png",
        },
        "width": 1200,
        "height": 1600,
        "coverage": {"upper_body_mask": 0.143, "lower_body_mask": 0.171},
    },
    "error": None,
    "timings_ms": {
        "queued": 12.0,
        "fetch": 6.1,
        "preprocess": 18.2,
        "segment": 212.4,
        "masks": 7.9,
        "callback": 14.0,
        "total": 260.3,
    },
    "replay_of": None,
    "replay_id": None,
}

UNREADABLE: dict[str, Any] = {
    "event_id": "7b9a7f64-0e0c-4a53-8a1e-2f6f0a9d4c11",
    "job_id": None,
    "user_id": None,
    "provider": None,
    "batch": None,
    "state": "failed",
    "occurred_at": "2026-11-22T10:30:01.300Z",
    "attempt": 1,
    "source": {"topic": topics.JOBS, "partition": 0, "offset": 18},
    "worker": "pod-0",
    "model": None,
    "result": None,
    "error": {
        "code": "invalid_message",
        "message": "Job: user_id: Field required",
        "stage": "read",
        "retryable": False,
    },
    "timings_ms": None,
    "replay_of": None,
    "replay_id": None,
}

DEAD_LETTER: dict[str, Any] = {
    "__connect.errors.topic": topics.JOBS,
    "__connect.errors.partition": "0",
    "__connect.errors.offset": "18",
    "__connect.errors.stage": "read",
    "__connect.errors.exception.class.name": "schemas.errors.InvalidMessage",
    "__connect.errors.exception.message": "Job: user_id: Field required",
    "mask-error-code": "invalid_message",
    "mask-failed-at": "2026-11-22T10:30:01.300Z",
}

CALLBACK_REPLY: dict[str, Any] = {
    "status": "success",
    "stored_keys": {
        "upper_body_mask": "minio://masks/u-42/f20d441e/upper_body_mask.png",
        "lower_body_mask": "minio://masks/u-42/f20d441e/lower_body_mask.png",
    },
}
