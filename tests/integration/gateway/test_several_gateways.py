"""Several gateways of one line: each with a view of its own, or two that share one."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from producer_tools.local.gateway_process import GatewayProcess
from tests.support.gateway_line import PHOTO, Line, until
from tests.support.line_names import maskline

pytestmark = pytest.mark.integration

AGREED_SECONDS = 1.0
ROUNDS = 5


@pytest.fixture(scope="module")
def others(stopped: Line) -> Iterator[tuple[Line, Line]]:
    """Two more gateways of the line without a consumer: they share a view."""
    with ExitStack() as started:
        first = started.enter_context(GatewayProcess(stopped.environment))
        shared = {**stopped.environment, "VIEW_FILE": str(first.folder / "view" / "view.db")}
        second = started.enter_context(GatewayProcess(shared))
        yield (
            Line(stopped.stack, stopped.names, first, stopped.environment),
            Line(stopped.stack, stopped.names, second, shared),
        )


def submit(client: httpx.Client) -> dict[str, Any]:
    files = {"image": ("input.jpg", PHOTO)}
    answer = client.post("/api/v1/submit", files=files, data={"instruction": "x"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def said(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def seconds_until(happened: Callable[[], bool]) -> float:
    begun = time.monotonic()
    until(happened)
    return time.monotonic() - begun


def test_gateways_agree_within_a_second(still: Line, others: tuple[Line, Line]) -> None:
    """What is submitted, or cancelled, at one is seen at the others: state, place and counts."""
    with still.client() as one, others[0].client() as own, others[1].client() as shared:
        delays: list[float] = []

        def agree() -> bool:
            return all(
                said(one, path) == said(other, path)
                for path in ("/api/v1/queue", "/queue/jobs?limit=100", f"/api/v1/status/{job}")
                for other in (own, shared)
            )

        jobs: list[str] = []
        for place in range(1, ROUNDS + 1):
            answer = submit(one if place % 2 else shared)
            job = answer["job_id"]
            jobs.append(job)
            assert answer["position"] == place
            delays.append(seconds_until(agree))
            assert said(own, f"/api/v1/status/{job}")["position"] == place
            assert said(own, "/api/v1/queue")["queue_size"] == place
        for canceller, job in ((own, jobs[0]), (one, jobs[-1])):
            assert canceller.post(f"/queue/job/{job}/cancel").status_code == 200
            delays.append(seconds_until(agree))
            assert said(shared, f"/api/v1/status/{job}")["status"] == "cancelled"
        assert said(own, "/api/v1/queue")["queued_count"] == ROUNDS - 2
        assert statistics.median(delays) < AGREED_SECONDS, delays


def test_of_two_that_share_a_view_one_follows_and_takes_over(
    still: Line, others: tuple[Line, Line]
) -> None:
    """A command reads the same view; when the folding gateway dies, callers hear no error of ours.

    503 may be said for a moment, since the new one has to find out what Kafka has.
    """
    folding, following = others
    with following.client() as client, ThreadPoolExecutor(4) as callers:
        job = submit(client)["job_id"]
        status = maskline("status", job, "--format", "json", environment=following.environment)
        assert (status.returncode, "queued" in status.stdout) == (0, True), status.stderr
        stop = False
        answers: list[int] = []

        def load(number: int) -> None:
            while not stop:
                path = f"/api/v1/status/{job}" if number % 2 else "/api/v1/status/nope"
                answers.append(client.get(path).status_code)

        loads = [callers.submit(load, number) for number in range(4)]
        until(lambda: len(answers) > 20)
        folding.gateway.kill()
        submitted = until(lambda: _submitted(client))
        count = len(answers)
        until(lambda: len(answers) > count + 20)
        stop = True
        for each in loads:
            each.result()
        assert set(answers) <= {200, 404, 503}
        assert {200, 404} == set(answers[count:])
        assert said(client, f"/api/v1/status/{submitted}")["position"] == 2


def _submitted(client: httpx.Client) -> str | None:
    """Submit, and return the job if that is possible now."""
    files = {"image": ("input.jpg", PHOTO)}
    answer = client.post("/api/v1/submit", files=files, data={"instruction": "x"})
    assert answer.status_code in (200, 503), answer.text
    return str(answer.json()["job_id"]) if answer.status_code == 200 else None
