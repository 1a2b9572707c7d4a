"""A submission under way: its jobs are sent in order, and their ends are noted."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from producer_tools.cli.given import Given
from producer_tools.client.client import Client
from producer_tools.client.new_job import NewJob
from schemas.status import TERMINAL_STATES, StatusEvent


@dataclass(slots=True)
class Sending:
    """One photo, and what has become of it."""

    given: Given
    job: NewJob
    offset: int | None = None
    """The offset of its record. None: it isn't sent."""
    state: str | None = None
    """Its job's state, `queued` from the record on."""
    event: StatusEvent | None = None
    """Its terminal event."""
    problem: str | None = None
    """What is wrong, apart from what the event says."""

    @property
    def error(self) -> str | None:
        """Why the job failed."""
        if self.event is not None and self.event.error is not None:
            return f"{self.event.error.code}: {self.event.error.message}"
        return self.problem

    def row(self) -> dict[str, object]:
        """Return it as a row of output."""
        result = self.event.result if self.event else None
        return {
            "job": self.job.job_id,
            "photo": self.given.name,
            "offset": self.offset,
            "state": self.state,
            "error": self.error,
            "stored_keys": result.stored_keys if result else None,
        }


class Submission:
    """The jobs of one `maskline submit`.

    Those with an offset were sent before. If they have no terminal state, they are waited for.
    """

    def __init__(
        self,
        sendings: Sequence[Sending],
        *,
        on_sent: Callable[[Sending], None],
        on_ended: Callable[[Sending], None],
    ) -> None:
        self._sendings = sendings
        self._by_job = {sending.job.job_id: sending for sending in sendings}
        self._on_sent = on_sent
        self._on_ended = on_ended
        self._waiting: deque[Sending] = deque()
        self._early: dict[int, StatusEvent] = {}
        self._news = asyncio.Event()
        self.stopped = False

    def stop(self) -> None:
        """Send no further job. Those whose upload has begun are still sent."""
        self.stopped = True
        self._news.set()

    async def run(self, client: Client, *, follow_from: int | None, wait: bool) -> None:
        """Send what isn't sent and, if told to `wait`, return when all have ended.

        Args:
            client: The line's client.
            follow_from: Where in the status topic the events of jobs begin that were sent before.
            wait: Whether to wait for the ends.

        Raises:
            ToolError: Kafka or S3 failed.
        """
        end = await client.status_end()
        start = end if follow_from is None else min(follow_from, end)
        following = asyncio.create_task(self._follow(client, start), name="submission.follow")
        following.add_done_callback(lambda _: self._news.set())
        try:
            self._add_earlier()
            async for submitted in client.submit_many(self._unsent()):
                sending = self._by_job[submitted.job.job_id]
                sending.problem = submitted.problem
                self._sent(sending, submitted.offset)
            while wait and self._waiting and not self.stopped and not following.done():
                self._news.clear()
                await self._news.wait()
            if following.done():
                following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _add_earlier(self) -> None:
        earlier = [sending for sending in self._sendings if sending.offset is not None]
        for sending in sorted(earlier, key=lambda sending: sending.offset or 0):
            if sending.state in TERMINAL_STATES:
                self._on_ended(sending)
            else:
                self._waiting.append(sending)

    def _unsent(self) -> Iterator[NewJob]:
        for sending in self._sendings:
            if self.stopped:
                return
            if sending.offset is None:
                yield sending.job

    def _sent(self, sending: Sending, offset: int) -> None:
        sending.offset, sending.state = offset, "queued"
        self._on_sent(sending)
        if offset in self._early:
            self._ended(sending, self._early.pop(offset))
        else:
            self._waiting.append(sending)

    async def _follow(self, client: Client, start: int) -> None:
        async for followed in client.follow(from_offset=start):
            if followed.event.state in TERMINAL_STATES:
                self._note_end(followed.event)

    def _note_end(self, event: StatusEvent) -> None:
        """Note a terminal event. They come in the order of their records."""
        offset = event.source.offset
        found = None
        while self._waiting and (self._waiting[0].offset or 0) <= offset:
            found = self._waiting.popleft()
            # The line went past an earlier one without an event: it was passed over.
            self._ended(found, event if found.offset == offset else None)
        if event.job_id in self._by_job and (found is None or found.offset != offset):
            self._early[offset] = event  # it ended before we heard that it was sent

    def _ended(self, sending: Sending, event: StatusEvent | None) -> None:
        sending.event = event
        sending.state = "failed" if event is None else event.state
        if event is None:
            sending.problem = "passed over: the line went on without it"
        self._on_ended(sending)
        self._news.set()
