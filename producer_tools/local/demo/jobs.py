"""Submits the demo's jobs, and follows the status topic until they have ended."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from consumer.settings import KafkaSettings, S3Settings
from producer_tools.client.client import Client
from producer_tools.client.new_job import NewJob
from producer_tools.local.errors import LocalStackError
from producer_tools.local.server import LocalServer
from schemas.status import TERMINAL_STATES, StatusEvent

_USER = "demo"
_LOOK_SECONDS = 0.1


class DemoJobs:
    """The jobs of the demo's photos."""

    def __init__(
        self,
        jobs: Mapping[str, Path],
        kafka: KafkaSettings,
        s3: S3Settings,
        servers: Sequence[LocalServer],
    ) -> None:
        """`servers` must run until all jobs have ended."""
        self._jobs = jobs
        self._kafka = kafka
        self._s3 = s3
        self._servers = servers
        self._latest: dict[str, StatusEvent] = {}

    async def submit_and_follow(self, timeout: float, console: Console) -> dict[str, StatusEvent]:
        """Submit the jobs, follow them for `timeout` seconds at most, and return the latest events.

        Raises:
            LocalStackError: A server ended.
            ToolError: Kafka or S3 failed, or a photo can't be read.
        """
        end = time.monotonic() + timeout
        async with Client(self._kafka, self._s3) as client:
            start = await client.status_end()
            tasks = [
                asyncio.create_task(self._submit(client)),
                asyncio.create_task(self._follow(client, start)),
            ]
            try:
                with _bar(console) as bar:
                    progress = bar.add_task(self._description(), total=len(self._jobs))
                    while self._ended_count() < len(self._jobs) and time.monotonic() < end:
                        self._check_running(tasks)
                        await asyncio.sleep(_LOOK_SECONDS)
                        bar.update(
                            progress, completed=self._ended_count(), description=self._description()
                        )
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self._latest

    async def _submit(self, client: Client) -> None:
        jobs = [
            NewJob(photo=photo, user_id=_USER, job_id=job_id)
            for job_id, photo in self._jobs.items()
        ]
        async for _ in client.submit_many(jobs):
            pass

    async def _follow(self, client: Client, start: int) -> None:
        async for followed in client.follow(from_offset=start):
            if followed.event.job_id in self._jobs:
                self._latest[followed.event.job_id or ""] = followed.event

    def _check_running(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.done():
                task.result()
        for server in self._servers:
            if not server.child.running:
                raise LocalStackError(
                    f"{server.name} ended while jobs were under way. The end of its log:\n"
                    f"{server.child.log_tail()}"
                )

    def _ended_count(self) -> int:
        return sum(event.state in TERMINAL_STATES for event in self._latest.values())

    def _description(self) -> str:
        """Return what the line waits for, if it waits."""
        waiting = (event.error for event in self._latest.values() if event.state == "retrying")
        return next((f"waiting: {error.code}" for error in waiting if error), "photos done")


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
