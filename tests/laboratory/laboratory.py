"""The laboratory: a line of its own on the real stack, its consumers, and what becomes of it."""

import asyncio
import contextlib
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from producer_tools.local.stack import LocalStack
from tests.laboratory.costs import Part
from tests.laboratory.evidence import Evidence, Foreseen, read_event
from tests.laboratory.gathering import Gathering
from tests.laboratory.proxied import ProxiedStack
from tests.laboratory.toxiproxy import Proxy
from tests.laboratory.watch import Watch
from tests.laboratory.workload import (
    BUCKET,
    LOWER_ONLY,
    REJECTED,
    Planned,
    objects,
    plan,
    submit,
)
from tests.support.consumer_process import POLL_SECONDS, ConsumerProcess, Stalled, until
from tests.support.line_names import LineNames, create_topics
from tests.support.models import TRIVIAL, write_light_catalog
from tests.support.topics import following

SETTLE_SECONDS = 120.0
BACKLOG = 50
LATENCY_MS = (0, 50)
CALLBACK_TIMEOUT_SECONDS = 4.0
DEAD_LETTER_LIMIT = 20
"""In a row, of those that count: the workload by itself never has as many."""
Progress = Callable[[str], None]


class Laboratory:
    """A line on the stack: topics, a group, consumers that come and go.

    Args:
        stack: The real stack, running.
        folder: Where logs and the model are kept.
        seed: Of the callback's latencies.
        planted: A fault to plant in the consumers, by its name in `tests.laboratory.planted`.
        progress: Writes how the run goes.
    """

    def __init__(
        self,
        stack: LocalStack,
        *,
        folder: Path,
        seed: int,
        planted: str | None = None,
        progress: Progress = print,
    ) -> None:
        self.stack = stack
        self.progress = progress
        self.consumers: list[ConsumerProcess] = []
        self.records = 0
        """Submitted so far."""
        self.mended_at = 0.0
        """When the cause of the last fault was gone, in Unix seconds."""
        self._folder = folder
        self._seed = seed
        self._planted = planted
        self._refills = 0
        self._named = 0
        self._foreseen: dict[int, Foreseen] = {}
        self._planned: deque[Planned] = deque()
        self.line = LineNames.fresh()
        self.watch = Watch(stack.kafka.bootstrap_servers, self.line)
        self._gathering = Gathering(stack, self.line, folder=folder, watch=self.watch)

    async def __aenter__(self) -> Self:
        _write_models(self._folder / "models")
        await asyncio.to_thread(self._fill_bucket)
        await create_topics(self.environment())
        self.behave()
        await self.watch.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill_all()
        await self.watch.__aexit__(kind, error, traceback)
        # It is gone where its restart is what failed; that error must be seen.
        with contextlib.suppress(httpx.HTTPError):
            self.stack.mask_assets.behave()

    @property
    def bootstrap(self) -> str:
        """Where Kafka answers."""
        return self.stack.kafka.bootstrap_servers

    def proxy(self, part: str) -> Proxy:
        """The proxy before a part, where the stack has proxies."""
        if not isinstance(self.stack, ProxiedStack):
            raise TypeError(f"no network fault can be struck on a {type(self.stack).__name__}")
        return self.stack.proxies[part]

    def intend(self, planned: Iterable[Planned]) -> None:
        """Plan the workload, to be submitted as the run goes on."""
        self._planned.extend(planned)

    async def add_planned(self) -> None:
        """Submit what is left of the workload."""
        while self._planned:
            await self.add(10 * BACKLOG)

    async def submit(self, planned: Sequence[Planned]) -> list[int]:
        """Submit the workload, and remember how each record must end; give their offsets."""
        foreseen, _ = await submit(self.bootstrap, self.line.jobs, planned)
        for offset, how in foreseen.items():
            self.foresee(offset, how)
        return list(foreseen)

    def fresh_id(self, name: str) -> str:
        """A job id that no other job of the run has."""
        self._named += 1
        return f"{name}-{self._seed}-{self._named}"

    def foresee(self, offset: int, how: Foreseen) -> None:
        """Remember how a record must end."""
        self._foreseen[offset] = how
        self.records = self.watch.settled_before + len(self._foreseen)

    def behave(self) -> None:
        """Let the mask-asset service answer as it should, with its latency and its 422."""
        self.stack.mask_assets.behave(
            {"delay_ms": LATENCY_MS, "seed": self._seed},
            {"jobs": f"{REJECTED}.*", "mode": "status", "status": 422},
        )

    def start(self, *options: str, **settings: str) -> ConsumerProcess:
        """Start a consumer; it runs when this returns, and may not be ready for long yet."""
        planted = self._planted
        consumer = ConsumerProcess(
            f"consumer-{len(self._gathering.logs()):03}",
            "consume",
            *options,
            folder=self._folder,
            environment={**self.environment(), **settings},
            module=("tests.laboratory.planted", planted) if planted else ("producer_tools",),
        )
        self.consumers.append(consumer)
        return consumer

    async def end(self, consumer: ConsumerProcess) -> None:
        """End a consumer by SIGTERM; its log stays."""
        await consumer.end()
        self.consumers.remove(consumer)

    def kill(self, consumer: ConsumerProcess) -> None:
        """End a consumer by SIGKILL; its log stays."""
        consumer.kill()
        self.consumers.remove(consumer)

    async def owner(self, *, seconds: float = SETTLE_SECONDS) -> ConsumerProcess:
        """Wait for a consumer whose lane is open, and give it."""
        found: list[ConsumerProcess] = []

        def is_owned() -> bool:
            found[:] = [one for one in self.consumers if one.owns_lane and not one.paused]
            if not found:
                self.check_running()
            return bool(found)

        await until(is_owned, "a consumer opens its lane", seconds=seconds)
        return found[-1]

    async def reaches(self, count: int, *, quiet_seconds: float = SETTLE_SECONDS) -> None:
        """Wait until `count` records are settled, as long as there is progress.

        Raises:
            Stalled: a consumer ended by itself, or nothing moved for `quiet_seconds`.
        """
        while self.watch.settled < count:
            self.check_running()
            if time.monotonic() - self.watch.progressed_at > quiet_seconds:
                raise Stalled(
                    f"nothing settled for {quiet_seconds:g} s, {self.watch.settled} of"
                    f" {self.records} are\n" + "\n".join(one.log_tail() for one in self.consumers)
                )
            await asyncio.sleep(POLL_SECONDS)

    async def refill(self) -> None:
        """See to it that there is work left: a fault that meets an idle line shows nothing."""
        if self.records - self.watch.settled < BACKLOG:
            await self.add()

    async def has(self, count: int) -> None:
        """See to it that more than so many records are submitted."""
        while self.records <= count:
            await self.add(10 * BACKLOG)

    async def add(self, records: int = BACKLOG) -> None:
        """Submit some more records: those that were planned, and then others."""
        if self._planned:
            await self.submit([self._planned.popleft() for _ in range(records) if self._planned])
            return
        self._refills += 1
        seed = self._seed * 1000 + self._refills
        await self.submit(plan(seed, records=records, poisoned=records // 25))

    async def moves_on(self, by: int = 1, *, seconds: float = SETTLE_SECONDS) -> float:
        """Wait until `by` more records are settled, now that nothing is wrong; give the seconds."""
        self.mended_at = time.time()
        count = self.watch.settled + by
        while count > self.records:
            await self.add()

        def moved_on() -> bool:
            self.check_running()
            return self.watch.settled >= count

        return await until(moved_on, f"{by} more records are settled", seconds=seconds)

    async def at_next_terminal_event(self, strike: Callable[[], None], *, isolation: str) -> None:
        """Strike as soon as a terminal event can be read at that isolation level."""
        async with (
            asyncio.timeout(SETTLE_SECONDS),
            following(self.bootstrap, self.line.status, start=None, isolation=isolation) as records,
        ):
            async for record in records:
                if read_event(record).terminal:
                    strike()
                    return

    def check_running(self) -> None:
        """Raise where a consumer has ended by itself."""
        for consumer in self.consumers:
            consumer.check_running()

    async def end_all(self) -> None:
        """End all consumers by SIGTERM."""
        for consumer in list(self.consumers):
            await self.end(consumer)

    def kill_all(self) -> None:
        """End all consumers by SIGKILL."""
        for consumer in list(self.consumers):
            self.kill(consumer)

    async def keep_uploads(self, *, before_kill: bool = False) -> None:
        """Keep what is new in the service's log."""
        await self._gathering.keep_uploads(before_kill=before_kill)

    async def close_part(self, *, through: int) -> None:
        """Keep what the jobs topic has left behind before offset `through`: the topic is to go."""
        await self._gathering.close_part(self._foreseen, through=through)
        self._foreseen = {}
        self.records = self.watch.settled

    async def open_part(self) -> None:
        """Begin anew with an empty jobs topic, whose owner is yet to be started."""
        await self._gathering.open_part()

    async def parts(self) -> list[Part]:
        """Gather what each jobs topic of the run has left behind, once the consumers have ended."""
        return await self._gathering.parts(self._foreseen)

    async def evidence(self) -> Evidence:
        """Gather what the jobs topic as it is now has left behind."""
        return await self._gathering.evidence(self._foreseen)

    def begun(self, offset: int) -> bool:
        """Whether the record was begun, by the consumers' logs."""
        return any(one == offset for _, one in self._gathering.starts())

    def environment(self) -> dict[str, str]:
        """The settings of this line's consumers and commands."""
        return {
            **self.stack.environment(),
            **self.line.environment(),
            "MODEL_FOLDER": str(self._folder / "models"),
            "QWEN_MODEL_PATH": "trivial.onnx",
            "WORKER_COUNT": "4",
            "CALLBACK_TIMEOUT_SECONDS": str(CALLBACK_TIMEOUT_SECONDS),
            "SHUTDOWN_GRACE_SECONDS": "4",
            "DEAD_LETTER_LIMIT": str(DEAD_LETTER_LIMIT),
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
        }

    async def put(self, key: str, content: bytes) -> None:
        """Put an object into the bucket of photos."""
        await asyncio.to_thread(self._put, {key: content})

    def _fill_bucket(self) -> None:
        self.stack.s3.create_bucket(BUCKET)
        self._put(objects())

    def _put(self, contents: Mapping[str, bytes]) -> None:
        client = self.stack.s3.client()
        for key, content in contents.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=content)
        client.close()


def _write_models(folder: Path) -> None:
    """Write the trivial model, and its like that knows no upper body."""
    folder.mkdir(parents=True, exist_ok=True)
    write_light_catalog(folder)
    shutil.copy(folder / f"{TRIVIAL}.onnx", folder / f"{LOWER_ONLY}.onnx")
    manifest = (folder / f"{TRIVIAL}.toml").read_text(encoding="utf-8")
    lines = [line for line in manifest.splitlines() if not line.startswith("upper = ")]
    lower_only = "\n".join(lines).replace(TRIVIAL, LOWER_ONLY).replace('"upper_body_mask", ', "")
    (folder / f"{LOWER_ONLY}.toml").write_text(lower_only, encoding="utf-8")
