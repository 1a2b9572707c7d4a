"""The queue as callers of the gateway see it: places, limits, idempotency, batches, cancels."""

import asyncio
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.gateway_line import PHOTO, SMALL_QUEUE, Line, until
from tests.support.topics import read_topic

pytestmark = pytest.mark.integration

FULL = {"detail": "Queue is full (maximum 10 jobs). Please try again later."}


def submit(client: httpx.Client, words: str = "Make it blue", **options: Any) -> httpx.Response:
    return client.post(
        "/api/v1/submit",
        files={"image": ("input.jpg", options.pop("photo", PHOTO))},
        data={"instruction": words, **options.pop("data", {})},
        **options,
    )


def batch(client: httpx.Client, count: int, **options: Any) -> httpx.Response:
    files = [("images", (f"image{index}.jpg", PHOTO)) for index in range(count)]
    return client.post("/queue/submit", files=files, **options)


def test_submits_say_their_places_and_the_one_too_many_is_refused(still: Line) -> None:
    """Places 1 to 10, then 429 with seed 3's sentence, and nothing more is queued."""
    with still.client() as client:
        answers = [submit(client) for _ in range(SMALL_QUEUE)]
        refused = submit(client)
        assert [answer.json()["position"] for answer in answers] == list(range(1, 11))
        assert (429, FULL) == (refused.status_code, refused.json())
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/api/v1/queue").json() == {
            "queue_size": 10,
            "max_queue_size": 10,
            "queued_count": 10,
            "processing_count": 0,
            "current_job_id": None,
        } | {
            name: client.get("/api/v1/queue").json()[name]
            for name in ("completed_count", "failed_count", "total_jobs")
        }


def test_a_batch_onto_eight_is_refused_whole(still: Line) -> None:
    """Three don't fit: 429, and none of them is queued. Two do."""
    with still.client() as client:
        for _ in range(8):
            assert submit(client).status_code == 200
        assert (429, FULL) == ((refused := batch(client, 3)).status_code, refused.json())
        assert client.get("/api/v1/queue").json()["queue_size"] == 8
        assert batch(client, 2).status_code == 200
        assert client.get("/api/v1/queue").json()["queue_size"] == 10
        assert batch(client, 11).status_code == 400


def test_fifty_at_once_get_exactly_ten_in_and_none_is_lost(still: Line) -> None:
    """Each 200 has a place of its own, each other answer is 429, each job is there."""
    with still.client() as client, ThreadPoolExecutor(50) as callers:
        answers = list(callers.map(lambda _: submit(client), range(50)))
        accepted = [answer.json() for answer in answers if answer.status_code == 200]
        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 40
        found = {
            client.get(f"/api/v1/status/{each['job_id']}").json()["position"] for each in accepted
        }
        assert found == set(range(1, 11))


def test_a_submit_sent_again_queues_one_job(still: Line) -> None:
    """The same key gets the first job, from 8 callers at once, too; another body is 409."""
    headers = {"Idempotency-Key": "k-1", "X-User-Id": uuid.uuid4().hex}
    with still.client(headers=headers) as client, ThreadPoolExecutor(8) as callers:
        submit(client, "another", headers={"Idempotency-Key": "k-0"})
        answers = [each.json() for each in callers.map(lambda _: submit(client), range(8))]
        assert len({answer["job_id"] for answer in answers}) == 1
        assert {answer["position"] for answer in answers} == {2}
        assert client.get("/api/v1/queue").json()["queue_size"] == 2
        assert submit(client, "Other words").status_code == 409
        other = submit(client, headers={"X-User-Id": "someone else"})
        assert other.json()["job_id"] not in {answer["job_id"] for answer in answers}


def test_a_batch_sent_again_is_the_same_batch(still: Line) -> None:
    """Its id, and no further photo."""
    with still.client(headers={"Idempotency-Key": uuid.uuid4().hex}) as client:
        first, second = batch(client, 3).json(), batch(client, 3).json()
        assert first == second
        assert client.get("/api/v1/queue").json()["queue_size"] == 3
        assert batch(client, 2).status_code == 409


def test_process_again_with_an_open_job_queues_nothing(still: Line) -> None:
    """The same name and photo: the same answer. Another photo under it is another job."""
    name = f"caller:{uuid.uuid4().hex}"
    fields = {"user_id": "u", "job_id": name, "provider": "qwen"}
    with still.client() as client:

        def process() -> httpx.Response:
            return client.post("/process", files={"user_image": ("a.jpg", PHOTO)}, data=fields)

        assert process().json() == process().json()
        assert process().json() == {
            "status": "accepted",
            "queued": True,
            "job_id": name,
            "message": "Job added to Qwen mask queue",
        }
        assert client.get("/health").json() == {"status": "ok", "queue_size": 1}


def test_a_queued_job_is_cancelled_and_stays_so(still: Line) -> None:
    """200 at once where no consumer is there; a second cancel comes too late."""
    with still.client() as client:
        job = submit(client).json()["job_id"]
        answer = client.post(f"/queue/job/{job}/cancel")
        assert (
            200,
            {
                "job_id": job,
                "status": "cancelled",
                "message": "Job cancelled successfully",
            },
        ) == (answer.status_code, answer.json())
        assert client.get(f"/api/v1/status/{job}").json()["status"] == "cancelled"
        assert client.get(f"/queue/job/{job}").json()["status"] == "cancelled"
        assert client.post(f"/queue/job/{job}/cancel").status_code == 409
        assert client.get("/api/v1/queue").json()["queue_size"] == 0


def test_of_a_batch_that_has_begun_the_rest_is_cancelled(still: Line) -> None:
    """409 says how many were."""
    with still.client() as client:
        name = batch(client, 3).json()["job_id"]
        job = client.get(f"/queue/job/{name}").json()
        assert (job["status"], job["type"], job["progress"]["total"]) == ("pending", "batch", 3)
        offset = _offset(still, f"{name}:0")
        still.write(still.names.status, [still.event("processing", offset, f"{name}:0")])
        until(lambda: client.get(f"/queue/job/{name}").json()["status"] == "processing")
        answer = client.post(f"/queue/job/{name}/cancel")
        assert answer.status_code == 409
        assert re.search(r"1 of its 3 .* 2 were cancelled", answer.json()["detail"])
        still.write(still.names.status, [still.event("completed", offset, f"{name}:0")])
        done = until(
            lambda: (found := client.get(f"/queue/job/{name}").json())["results"] and found
        )
        assert done["status"] == "completed"
        assert done["progress"] == {"total": 3, "processed": 1, "failed": 0}
        assert [each["status"] for each in done["results"]] == [
            "completed",
            "cancelled",
            "cancelled",
        ]


def _offset(line: Line, job_id: str) -> int:
    """Return the offset of a job's record."""
    records = asyncio.run(read_topic(line.stack.kafka.bootstrap_servers, line.names.jobs))
    return max(record.offset for record in records if record.key == job_id.encode())
