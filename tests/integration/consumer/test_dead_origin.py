"""Jobs of a dead origin among good ones, on the real line: how long the good ones wait.

`DEAD_ORIGIN_JOBS=500` makes it 500 of each kind, and `CALLBACK_BUDGET_SECONDS` what they may take.
"""

import json
import os
from datetime import datetime

import pytest
from aiokafka import AIOKafkaProducer

from tests.support import bench as benches
from tests.support.bench import Bench
from tests.support.raw_server import RawServer, never_read

pytestmark = pytest.mark.integration

JOBS = int(os.environ.get("DEAD_ORIGIN_JOBS", "30"))
BUDGET = float(os.environ.get("CALLBACK_BUDGET_SECONDS", "2"))
REFUSING = "http://127.0.0.1:1"


@pytest.mark.parametrize("dead", ["refusing", "silent"])
async def test_jobs_of_a_dead_origin_keep_the_others_for_a_bounded_time(
    dead: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are settled in order; the dead ones take one budget, then a short try for each window."""
    monkeypatch.setattr(benches, "DEADLINE_SECONDS", 60.0 + BUDGET + JOBS)
    photo = bench.put_photo()
    with RawServer(never_read) as silent:
        origin = REFUSING if dead == "refusing" else silent.origin
        await submit(bench, photo, callback_url=f"{origin}/masks")
        consumer = bench.start(
            CALLBACK_ALLOWED_ORIGINS=f"{REFUSING},{silent.origin}",
            CALLBACK_BUDGET_SECONDS=str(BUDGET),
            CALLBACK_TIMEOUT_SECONDS=1,
        )
        events = await bench.terminal_events(2 * JOBS)
        await consumer.end()
    assert [event["source"]["offset"] for event in events] == list(range(2 * JOBS))
    codes = [event["error"] and event["error"]["code"] for event in events]
    assert codes == ["callback_unavailable", None] * JOBS
    first, last = (datetime.fromisoformat(events[at]["occurred_at"]) for at in (0, -1))
    seconds = (last - first).total_seconds()
    print(f"{JOBS} jobs of a {dead} origin among {JOBS} others: {seconds:.1f} s")
    windows = JOBS / 8  # half of MAX_IN_FLIGHT is theirs
    assert seconds < 20 + BUDGET + (windows if dead == "silent" else 0) + JOBS / 5


async def submit(bench: Bench, photo: str, *, callback_url: str) -> None:
    """Submit a job with this `callback_url` and one without, in turns."""
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:
        for number in range(2 * JOBS):
            job = {"job_id": f"j-{number}", "user_id": "u", "image": photo}
            if number % 2 == 0:
                job["callback_url"] = callback_url
            await producer.send_and_wait(bench.line.jobs, json.dumps(job).encode())
