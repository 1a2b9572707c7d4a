"""Each call of the three source specifications, field for field, against the real stack."""

import io
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.gateway_line import KEYS, ORIGIN, PHOTO, Line, until
from tests.support.photos import read, saved, stripes

pytestmark = pytest.mark.integration

SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture
def client(running: Line) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


@pytest.fixture
def waiting(still: Line) -> Iterator[httpx.Client]:
    """A client of the line without a consumer."""
    with still.client() as client:
        yield client


def submit(client: httpx.Client, photo: bytes = PHOTO, **data: Any) -> httpx.Response:
    files = {"image": ("input.jpg", photo)}
    return client.post("/api/v1/submit", files=files, data={"instruction": "x", **data})


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    """Wait until a job has ended, and return it."""
    until(lambda: client.get(path).json()["status"] in ENDED)
    found: dict[str, Any] = client.get(path).json()
    return found


# Seed 1


def test_process_takes_a_photo_and_the_line_makes_its_masks(client: httpx.Client) -> None:
    name = uuid.uuid4().hex
    answer = client.post(
        "/process",
        files={"user_image": ("a.jpg", PHOTO)},
        data={"user_id": "u-1", "job_id": name, "provider": "qwen"},
    )
    assert (
        200,
        {
            "status": "accepted",
            "queued": True,
            "job_id": name,
            "message": "Job added to Qwen mask queue",
        },
    ) == (answer.status_code, answer.json())
    job = ended(client, f"/queue/job/{name}")
    assert job["results"][0]["stored_keys"].keys() == {"upper_body_mask", "lower_body_mask"}


def test_health_and_stats_have_seed_1s_fields(client: httpx.Client) -> None:
    health, stats = client.get("/health"), client.get("/stats").json()
    assert (200, {"status", "queue_size"}) == (health.status_code, health.json().keys())
    assert health.json()["status"] == "ok"
    wanted = {"queue_max": 1000, "workers": 2}
    assert wanted.items() <= stats.items()
    assert stats.keys() == {
        "queue_max", "queue_current", "workers", "jobs_processed", "uptime_sec",
    }  # fmt: skip
    assert all(isinstance(value, int) for value in stats.values())


@pytest.mark.parametrize("missing", ["user_image", "user_id", "job_id", "provider"])
def test_process_without_a_field_is_400(waiting: httpx.Client, missing: str) -> None:
    data = {"user_id": "u", "job_id": "j", "provider": "qwen"}
    data.pop(missing, None)
    name = "user_image" if missing != "user_image" else "provider2"
    files = {"user_image": ("a.jpg", PHOTO)} if name == "user_image" else None
    answer = client_post(waiting, "/process", files=files, data=data)
    assert (400, {"detail": f"Missing input fields: {missing}."}) == answer


def client_post(client: httpx.Client, path: str, **sent: Any) -> tuple[int, Any]:
    """Send a form, which is one even without a file."""
    if sent.get("files") is None:
        data = sent.pop("data")
        sent = {"files": {name: (None, value) for name, value in data.items()}}
    answer = client.post(path, **sent)
    return answer.status_code, answer.json()


def test_what_process_refuses(waiting: httpx.Client) -> None:
    """422 for no image; 400 for another provider, a wrong name, a format that isn't taken."""
    good = {"user_id": "u", "job_id": "j", "provider": "qwen"}

    def status(photo: bytes, **changes: str) -> tuple[int, Any]:
        files = {"user_image": ("a.jpg", photo)}
        return client_post(waiting, "/process", files=files, data={**good, **changes})

    assert (422, {"detail": "The file is no image."}) == status(b"no image")
    assert status(PHOTO, provider="other")[0] == 400
    assert status(PHOTO, job_id="../../x")[0] == 400
    assert status(PHOTO, user_id="u" * 257)[0] == 400
    assert status(saved(stripes(), "GIF"))[0] == 400
    assert waiting.get("/health").json()["queue_size"] == 0


# Seed 2


def test_submit_of_one_file_is_a_single_job(client: httpx.Client) -> None:
    """Queued with u2net, which is installed; done, it has its stored keys."""
    answer = client.post("/queue/submit", files=[("images", ("image1.jpg", PHOTO))]).json()
    name = answer.pop("job_id")
    assert answer == {
        "status": "queued",
        "job_type": "single",
        "files_count": 1,
        "model": "u2net",
        "message": "Job queued successfully. Check status with /queue/job/{job_id}",
    }
    job = ended(client, f"/queue/job/{name}")
    (result,) = job.pop("results")
    times = [job.pop(each) for each in ("created_at", "started_at", "completed_at")]
    assert all(MICROSECONDS.fullmatch(each) for each in times)
    assert times == sorted(times)
    assert job == {
        "id": name,
        "status": "completed",
        "type": "single",
        "progress": {"total": 1, "processed": 1, "failed": 0},
        "model": "u2net",
        "filenames": ["image1.jpg"],
        "error": None,
    }
    keys = result.pop("stored_keys")
    assert keys.keys() == {"alpha_mask", "cutout"}
    assert result == {
        "filename": "image1.jpg", "job_id": name, "status": "completed", "error": None,
    }  # fmt: skip


def test_a_batch_with_a_bad_file_completes_and_says_which_failed(client: httpx.Client) -> None:
    files = [("images", ("good.jpg", PHOTO)), ("images", ("words.jpg", b"no image"))]
    answer = client.post("/queue/submit?model=trivial", files=files).json()
    assert (answer["job_type"], answer["files_count"]) == ("batch", 2)
    job = ended(client, f"/queue/job/{answer['job_id']}")
    assert (job["status"], job["type"], job["model"]) == ("completed", "batch", "trivial")
    assert job["progress"] == {"total": 2, "processed": 1, "failed": 1}
    assert job["filenames"] == ["good.jpg", "words.jpg"]
    assert [each["status"] for each in job["results"]] == ["completed", "failed"]
    assert job["error"] == job["results"][1]["error"] != ""
    single = client.get(f"/queue/job/{job['results'][1]['job_id']}").json()
    assert (single["type"], single["status"]) == ("single", "failed")


def test_models_of_seed_2(waiting: httpx.Client) -> None:
    """An unknown one is 400 and names those installed; aliases mean models that aren't here."""
    for name in ("nope", "siluette", "isnet-general"):
        answer = waiting.post(f"/queue/submit?model={name}", files=[("images", ("a", PHOTO))])
        assert answer.status_code == 400
        assert "u2net" in answer.json()["detail"]
    assert waiting.post("/queue/submit", files=[("other", ("a", PHOTO))]).status_code == 400
    assert waiting.post("/queue/submit", data={"images": "a text"}).status_code == 400


def test_lists_and_stats_of_seed_2(waiting: httpx.Client) -> None:
    """Newest first, a batch as one, by state."""
    before = waiting.get("/queue/stats").json()["stats"]
    names = [
        waiting.post("/queue/submit", files=[("images", ("a", PHOTO))] * count).json()["job_id"]
        for count in (1, 3)
    ]
    listed = waiting.get("/queue/jobs?status=pending&limit=20").json()
    assert [job["id"] for job in listed["jobs"]] == names[::-1]
    assert listed["total"] == 2
    assert [job["results"] for job in listed["jobs"]] == [None, None]
    assert len(waiting.get("/queue/jobs?limit=1").json()["jobs"]) == 1
    for wrong in ("limit=0", "limit=1001", "limit=x", "status=queued"):
        assert waiting.get(f"/queue/jobs?{wrong}").status_code == 400
    stats = waiting.get("/queue/stats").json()
    assert stats["stats"] == {
        **before, "pending": before["pending"] + 2, "total": before["total"] + 2,
    }  # fmt: skip
    assert stats["worker"] == {"status": "stopped", "active_jobs": 0, "max_concurrent": 16}


def test_unknown_names_are_404_in_one_sentence(waiting: httpx.Client) -> None:
    wanted = {
        "detail": "Job nope not found. It may have been cleaned up"
        " (jobs are kept for 1 hour after completion)."
    }
    for answer in (
        waiting.get("/queue/job/nope"),
        waiting.post("/queue/job/nope/cancel"),
        waiting.get("/api/v1/status/nope"),
        waiting.get("/api/v1/jobs/nope/result"),
        waiting.get("/api/v1/jobs/nope/preview"),
        waiting.get("/api/v1/jobs/nope/events"),
    ):
        assert (404, wanted) == (answer.status_code, answer.json())


# Seed 3


def test_a_job_of_seed_3_from_queued_to_its_result(client: httpx.Client) -> None:
    answer = submit(client, seed="42", system_prompt="be kind", instruction="Make the sky blue")
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {
        "job_id", "status", "position", "message", "estimated_wait_seconds",
    }  # fmt: skip
    assert (body["status"], body["message"]) == (
        "queued",
        f"Job queued successfully. Position: {body['position']}",
    )
    job = ended(client, f"/api/v1/status/{body['job_id']}")
    for each in ("created_at", "started_at", "completed_at"):
        assert SECONDS.fullmatch(job[each])
    name = re.compile(r"trivial_(\d{8})_(\d{6})_s42_[0-9a-f]{8}\.png")
    found = name.fullmatch(job["result_path"])
    assert found
    assert "".join(found.groups()) == re.sub(r"\D", "", job["completed_at"])
    assert {
        "job_id": body["job_id"],
        "status": "completed",
        "position": None,
        "result_seed": 42,
        "error": None,
        "instruction": "Make the sky blue",
        "model": "trivial",
    }.items() <= job.items()
    result = client.get(f"/api/v1/jobs/{body['job_id']}/result")
    assert (200, "image/png") == (result.status_code, result.headers["content-type"])
    assert job["result_path"] in result.headers["content-disposition"]
    lower = client.get(f"/api/v1/jobs/{body['job_id']}/result?output=lower_body_mask")
    assert read(result.content).shape == read(lower.content).shape == (320, 160)
    assert not np.array_equal(read(result.content), read(lower.content))
    assert client.get(f"/api/v1/jobs/{body['job_id']}/result?output=cutout").status_code == 404
    preview = client.get(f"/api/v1/jobs/{body['job_id']}/preview")
    assert (200, "image/jpeg") == (preview.status_code, preview.headers["content-type"])
    assert max(Image.open(io.BytesIO(preview.content)).size) <= 512


def test_a_failed_job_of_seed_3_says_why(client: httpx.Client) -> None:
    """A PNG whose data is cut: its header is right."""
    cut = saved(stripes(), "PNG")[:400]
    job = ended(client, f"/api/v1/status/{submit(client, cut).json()['job_id']}")
    assert (job["status"], job["result_path"], job["result_seed"]) == ("failed", None, None)
    assert job["error"]


def test_a_queued_job_of_seed_3(waiting: httpx.Client) -> None:
    submit(waiting)
    job = submit(waiting).json()
    found = waiting.get(f"/api/v1/status/{job['job_id']}").json()
    assert SECONDS.fullmatch(found.pop("created_at"))
    assert found == {
        "job_id": job["job_id"],
        "status": "queued",
        "position": 2,
        "started_at": None,
        "completed_at": None,
        "result_path": None,
        "result_seed": None,
        "error": None,
        "instruction": "x",
        "model": "trivial",
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"instruction": ""}, "1 to 500"),
        ({"instruction": "x" * 501}, "1 to 500"),
        ({"seed": "1.5"}, "seed"),
        ({"seed": str(2**63)}, "seed"),
        ({"system_prompt": "x" * 4001}, "4000"),
        ({"model": "nope"}, "Installed"),
    ],
)
def test_what_seed_3_refuses(waiting: httpx.Client, data: dict[str, Any], words: str) -> None:
    answer = submit(waiting, PHOTO, **data)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_pictures_that_seed_3_refuses(waiting: httpx.Client) -> None:
    """Too large, in its sentence; another format; none; no file."""
    wide = saved(np.zeros((2000, 3000, 3), np.uint8), "PNG")
    wanted = "Image too large (3000x2000px). Maximum 2048x2048px allowed."
    assert submit(waiting, wide).json() == {"detail": wanted}
    for photo in (saved(stripes(), "WEBP"), b"no image", b""):
        assert submit(waiting, photo).status_code == 400
    heavy = submit(waiting, b"\xff\xd8\xff" + bytes(int(15.2 * 1_048_576)))
    assert heavy.json() == {"detail": "Image too large (15.2MB). Maximum 10MB allowed."}
    assert waiting.post("/api/v1/submit", json={}).status_code == 400
    assert waiting.get("/api/v1/queue").json()["queue_size"] == 0


def test_models_are_loaded_already(client: httpx.Client) -> None:
    answer = client.post("/api/v1/load-model?model=u2net")
    assert answer.status_code == 200
    assert {"status": "loaded", "model": "u2net"}.items() <= answer.json().items()
    assert client.post("/api/v1/load-model?model=qwen-4step").status_code == 400
    assert client.post("/api/v1/load-model").status_code == 400
    health = client.get("/api/v1/health").json()
    assert health["model"] == "trivial"
    assert "u2net" in health["models"]


def test_a_job_is_gone_after_its_time(still: Line, second: Line) -> None:
    """404 says the settings' own time; counts still have it, `total_jobs` doesn't."""
    name = uuid.uuid4().hex
    job = json.dumps({"job_id": name, "user_id": "u", "image": "s3://b/k"}).encode()
    (offset,) = still.write(still.names.jobs, [(name, job)])
    past = datetime.now(UTC) - timedelta(minutes=5)
    event = still.event("completed", offset, name, occurred_at=past)
    with second.client(headers={"X-API-Key": KEYS[0]}) as client:
        until(lambda: client.get(f"/api/v1/status/{name}").status_code == 200)
        before = client.get("/api/v1/queue").json()
        still.write(still.names.status, [event])
        until(lambda: client.get(f"/queue/job/{name}").json()["status"] == "completed")
        answer = client.get(f"/api/v1/status/{name}")
        assert answer.status_code == 404
        assert "kept for 1 minute after completion" in answer.text
        after = client.get("/api/v1/queue").json()
        assert after["completed_count"] == before["completed_count"] + 1
        assert after["total_jobs"] == before["total_jobs"] - 1


# Keys and browsers


def test_keys_are_asked_for_but_by_probes_and_the_page(second: Line) -> None:
    with second.client() as client:
        for path in ("/health", "/api/v1/health", "/livez", "/readyz", "/metrics", "/"):
            assert client.get(path).status_code == 200
        for path in ("/api/v1/queue", "/queue/jobs", "/stats", "/openapi.json", "/api/v1/events"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
        for key in KEYS:
            assert client.get("/stats", headers={"X-API-Key": key}).status_code == 200


def test_pages_of_other_sites(second: Line) -> None:
    """A POST of one is 403, unless the origin is listed; a listed one gets CORS headers."""
    key = {"X-API-Key": KEYS[0]}
    with second.client() as client:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
        ):
            answer = client.post("/queue/job/nope/cancel", headers={**key, **headers})
            assert answer.status_code == 403
        same = client.post("/queue/job/nope/cancel", headers={**key, "Origin": second.url})
        listed = client.post(
            "/queue/job/nope/cancel",
            headers={**key, "Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        )
        assert same.status_code == listed.status_code == 404
        assert listed.headers["access-control-allow-origin"] == ORIGIN
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        preflight = client.options("/queue/submit", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-headers"] == "x-api-key"
        evil = {**asked, "Origin": "http://evil.example"}
        refused = client.options("/queue/submit", headers=evil)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
