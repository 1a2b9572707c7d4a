"""Submits the demo's jobs, and follows the status topic until they have ended."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from producer_tools.client.jobs import SendJob, job_sender, submit_photo
from producer_tools.client.status_events import status_reader
from producer_tools.local.errors import LocalStackError
from producer_tools.local.server import LocalServer
from producer_tools.local.stack import UPLOAD_BUCKET
from schemas.status import TERMINAL_STATES, StatusEvent

_USER = "demo"


class DemoJobs:
    """The jobs of the demo's photos."""

    def __init__(
        self,
        jobs: Mapping[str, Path],
        kafka: KafkaSettings,
        s3: Any,
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
            KafkaError, BotoCoreError, ClientError: Kafka or S3 failed.
        """
        options = connection_options(self._kafka)
        end = time.monotonic() + timeout
        async with (
            status_reader(options, topic=self._kafka.status_topic) as next_events,
            job_sender(options, topic=self._kafka.jobs_topic) as send,
        ):
            submission = asyncio.create_task(self._submit(send))
            try:
                with _bar(console) as bar:
                    progress = bar.add_task(self._description(), total=len(self._jobs))
                    while self._ended_count() < len(self._jobs) and time.monotonic() < end:
                        self._check_running(submission)
                        self._remember(await next_events())
                        bar.update(
                            progress, completed=self._ended_count(), description=self._description()
                        )
            finally:
                submission.cancel()
        return self._latest

    async def _submit(self, send: SendJob) -> None:
        for job_id, photo in self._jobs.items():
            await submit_photo(
                photo, job_id=job_id, user_id=_USER, s3=self._s3, bucket=UPLOAD_BUCKET, send=send
            )

    def _check_running(self, submission: asyncio.Task[None]) -> None:
        if submission.done():
            submission.result()
        for server in self._servers:
            if not server.child.running:
                raise LocalStackError(
                    f"{server.name} ended while jobs were under way. The end of its log:\n"
                    f"{server.child.log_tail()}"
                )

    def _remember(self, events: Sequence[StatusEvent]) -> None:
        for event in events:
            job_id = event.job_id or ""
            before = self._latest.get(job_id)
            # An event that comes after the terminal event is an older one.
            if job_id in self._jobs and not (before and before.state in TERMINAL_STATES):
                self._latest[job_id] = event

    def _ended_count(self) -> int:
        return sum(event.state in TERMINAL_STATES for event in self._latest.values())

    def _description(self) -> str:
        """Return what the line waits for, if it waits."""
        waiting = (event.error for event in self._latest.values() if event.state == "retrying")
        return next((f"waiting: {error.code}" for error in waiting if error), "photos done")


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
