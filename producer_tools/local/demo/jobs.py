"""The demo's jobs: submitted, and followed to their ends by the status topic."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from consumer.kafka.connection import connection_options
from consumer.settings import KafkaSettings
from producer_tools.client.submit import submit_photo
from producer_tools.client.topics import SendJob, following, submitting
from producer_tools.local.errors import LocalStackError
from producer_tools.local.server import LocalServer
from producer_tools.local.stack import UPLOAD_BUCKET
from schemas.status import TERMINAL_STATES, StatusEvent

_USER = "demo"


class DemoJobs:
    """The photos' jobs, from submitting to their ends."""

    def __init__(
        self, jobs: Mapping[str, Path], kafka: KafkaSettings, s3: Any, parts: Sequence[LocalServer]
    ) -> None:
        """`parts`: what must not end before the jobs do."""
        self._jobs = jobs
        self._kafka = kafka
        self._s3 = s3
        self._parts = parts
        self._latest: dict[str, StatusEvent] = {}

    async def follow(self, timeout: float, console: Console) -> dict[str, StatusEvent]:
        """Submit the jobs and follow them, at most so many seconds; give each one's latest event.

        Raises:
            LocalStackError: a part ended.
            KafkaError, BotoCoreError, ClientError: Kafka or S3 can't be used.
        """
        options = connection_options(self._kafka)
        end = time.monotonic() + timeout
        async with (
            following(options, topic=self._kafka.status_topic) as next_events,
            submitting(options, topic=self._kafka.jobs_topic) as send,
        ):
            submission = asyncio.create_task(self._submit(send))
            try:
                with _bar(console) as bar:
                    shown = bar.add_task(self._words(), total=len(self._jobs))
                    while self._ended() < len(self._jobs) and time.monotonic() < end:
                        self._check(submission)
                        self._note(await next_events())
                        bar.update(shown, completed=self._ended(), description=self._words())
            finally:
                submission.cancel()
        return self._latest

    async def _submit(self, send: SendJob) -> None:
        for job_id, photo in self._jobs.items():
            await submit_photo(
                photo, job_id=job_id, user_id=_USER, s3=self._s3, bucket=UPLOAD_BUCKET, send=send
            )

    def _check(self, submission: asyncio.Task[None]) -> None:
        if submission.done():
            submission.result()
        for part in self._parts:
            if not part.child.running:
                raise LocalStackError(
                    f"{part.name} ended while jobs were under way. The end of its log:\n"
                    f"{part.child.log_tail()}"
                )

    def _note(self, events: Sequence[StatusEvent]) -> None:
        for event in events:
            job_id = event.job_id or ""
            before = self._latest.get(job_id)
            # What comes after the terminal event is of a time before it.
            if job_id in self._jobs and not (before and before.state in TERMINAL_STATES):
                self._latest[job_id] = event

    def _ended(self) -> int:
        return sum(event.state in TERMINAL_STATES for event in self._latest.values())

    def _words(self) -> str:
        """Say what the line waits for, if it does."""
        waiting = (event.error for event in self._latest.values() if event.state == "retrying")
        return next((f"waiting: {error.code}" for error in waiting if error), "photos done")


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
