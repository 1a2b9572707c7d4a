"""Cancels at a running line: what is answered is what becomes of the jobs; places never rise."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.support.gateway_line import PHOTO, Line, new_line, until
from tests.support.models import TRIVIAL

pytestmark = pytest.mark.integration

CANCELS = 300
JOBS = 100
WORK_SECONDS = 0.2
WORKERS = 2


@pytest.fixture(scope="module")
def busy(stack: LocalStack, models: Path) -> Iterator[list[Line]]:
    """A line with two gateways, whose jobs take 0.2 s each, two at a time."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE="1000",
        MAX_IN_FLIGHT=str(WORKERS),
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    milliseconds = WORK_SECONDS * 1000
    with ExitStack() as started:
        gateways = [started.enter_context(GatewayProcess(environment)) for _ in range(2)]
        started.callback(stack.mask_assets.behave)
        stack.mask_assets.behave({"delay_ms": [milliseconds, milliseconds]})
        started.enter_context(ConsumerProcess(environment))
        yield [Line(stack, names, gateway, environment) for gateway in gateways]


def submit(client: httpx.Client) -> dict[str, Any]:
    files = {"image": ("input.jpg", PHOTO)}
    answer = client.post("/api/v1/submit", files=files, data={"instruction": "x"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_places_never_rise_and_estimates_come_true(busy: list[Line]) -> None:
    """100 jobs of 5 callers, looked at through both gateways until all have ended."""
    with ExitStack() as opened:
        clients = [opened.enter_context(line.client()) for line in busy]
        callers = opened.enter_context(ThreadPoolExecutor(5))
        jobs = [each["job_id"] for each in callers.map(lambda _: submit(clients[0]), range(JOBS))]
        places: dict[tuple[int, str], list[int]] = {}
        begun: dict[str, float] = {}
        promised: dict[str, tuple[float, int]] = {}
        while len(begun) < JOBS:
            for number, client in enumerate(clients):
                for job in jobs[:: 7 if number else 5]:
                    status = client.get(f"/api/v1/status/{job}").json()
                    seen = places.setdefault((number, job), [])
                    if status["position"] is not None:
                        seen.append(status["position"])
                        assert seen[-1] == min(seen)
            listed = clients[0].get("/queue/jobs?limit=1000").json()["jobs"]
            now = time.monotonic()
            for each in listed:
                if each["started_at"] is not None and each["id"] in jobs:
                    begun.setdefault(each["id"], now)
            if len(begun) >= 10 and not promised:
                answer = submit(clients[1])
                jobs.append(answer["job_id"])
                promised[answer["job_id"]] = (now, answer["estimated_wait_seconds"])
        (job, (asked_at, estimate)) = promised.popitem()
        until(lambda: clients[0].get(f"/api/v1/status/{job}").json()["started_at"])
        truth = time.monotonic() - asked_at
        assert abs(estimate - truth) <= max(2.0, truth / 2)


def test_three_hundred_cancels_say_the_truth(busy: list[Line]) -> None:
    """Each 200 ended cancelled, each 409 didn't, each 202 is one of the two."""
    with ExitStack() as opened:
        clients = [opened.enter_context(line.client()) for line in busy]
        callers = opened.enter_context(ThreadPoolExecutor(30))
        jobs = [
            each["job_id"] for each in callers.map(lambda _: submit(clients[0]), range(CANCELS))
        ]

        def cancel(job: str) -> int:
            return clients[0].post(f"/queue/job/{job}/cancel").status_code

        answers = dict(zip(jobs, callers.map(cancel, jobs), strict=True))
        until(lambda: clients[0].get("/api/v1/queue").json()["queue_size"] == 0)

        def state(job: str) -> str:
            return str(clients[0].get(f"/api/v1/status/{job}").json()["status"])

        ends = dict(zip(jobs, callers.map(state, jobs), strict=True))
    wrong = {
        job: (answer, ends[job])
        for job, answer in answers.items()
        if answer not in (200, 202, 409) or (ends[job] == "cancelled") != (answer == 200)
        if answer != 202
    }
    assert wrong == {}
    assert 200 in answers.values()
