"""The laboratory: a line of its own on the real stack, its consumers, and what becomes of it."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from producer_tools.local.stack import LocalStack
from tests.laboratory.costs import read_starts
from tests.laboratory.evidence import (
    Evidence,
    Foreseen,
    Upload,
    read_event,
    read_ownerships,
    read_upload,
)
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
from tests.support.logs import read_entries
from tests.support.models import TRIVIAL, write_light_catalog
from tests.support.topics import administration, committed_offset, end_of, following, read_topic

SETTLE_SECONDS = 120.0
BACKLOG = 50
LATENCY_MS = (0, 50)
CALLBACK_TIMEOUT_SECONDS = 4.0
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
        self._uploads: list[Upload] = []
        self._uploads_kept = 0
        self._refills = 0
        self._foreseen: dict[int, Foreseen] = {}
        self.line = LineNames.fresh()
        self.watch = Watch(stack.kafka.bootstrap_servers, self.line)

    async def __aenter__(self) -> Self:
        _write_models(self._folder / "models")
        await asyncio.to_thread(self._fill_bucket)
        await create_topics(self._environment())
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

    async def submit(self, planned: Sequence[Planned]) -> None:
        """Submit the workload, and remember how each record must end."""
        foreseen, _ = await submit(self.bootstrap, self.line.jobs, planned)
        for offset, how in foreseen.items():
            self.foresee(offset, how)

    def foresee(self, offset: int, how: Foreseen) -> None:
        """Remember how a record must end."""
        self._foreseen[offset] = how
        self.records = len(self._foreseen)

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
            f"consumer-{len(self._logs()):03}",
            "consume",
            *options,
            folder=self._folder,
            environment={**self._environment(), **settings},
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
        """Submit some more records."""
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
        """Keep what is new in the service's log: it remembers only so much, and dies forgetting."""
        log = await asyncio.to_thread(self.stack.mask_assets.uploads, since=self._uploads_kept)
        topic = f"/{self.line.jobs}/"
        self._uploads += [
            read_upload(line)
            for line in log
            # Other lines may share the stack; an upload without a key is ours.
            if line["idempotency_key"] is None or topic in line["idempotency_key"]
        ]
        if log:
            self._uploads_kept = log[-1]["number"] + 1
        if before_kill:
            self._uploads_kept = 0

    def starts(self) -> list[tuple[float, int]]:
        """When each record was begun, and its offset, as the consumers' logs have it."""
        return read_starts(self._logs())

    async def evidence(self) -> Evidence:
        """Gather what the run has left behind, once its consumers have ended."""
        await self.keep_uploads()
        line, bootstrap = self.line, self.bootstrap
        async with administration(bootstrap) as admin:
            offset = await committed_offset(admin, line.group, line.jobs)
        committed = await read_topic(bootstrap, line.status)
        uncommitted = await read_topic(bootstrap, line.status, isolation="read_uncommitted")
        return Evidence(
            topic=line.jobs,
            jobs=await read_topic(bootstrap, line.jobs),
            foreseen=self._foreseen,
            committed=tuple(map(read_event, committed)),
            uncommitted=tuple(map(read_event, uncommitted)),
            dead_letters=await read_topic(bootstrap, line.dead_letters),
            offset=offset,
            end=await end_of(bootstrap, line.jobs),
            samples=tuple(self.watch.samples),
            uploads=tuple(self._uploads),
            ownerships=tuple(
                one
                for log in self._logs()
                for one in read_ownerships(log.stem, read_entries(log.read_bytes()))
            ),
        )

    def _logs(self) -> list[Path]:
        return sorted(self._folder.glob("consumer-*.log"))

    def _environment(self) -> dict[str, str]:
        return {
            **self.stack.environment(),
            **self.line.environment(),
            "MODEL_FOLDER": str(self._folder / "models"),
            "QWEN_MODEL_PATH": "trivial.onnx",
            "WORKER_COUNT": "4",
            "CALLBACK_TIMEOUT_SECONDS": str(CALLBACK_TIMEOUT_SECONDS),
            "SHUTDOWN_GRACE_SECONDS": "4",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
        }

    def _fill_bucket(self) -> None:
        self.stack.s3.create_bucket(BUCKET)
        client = self.stack.s3.client()
        for key, content in objects().items():
            client.put_object(Bucket=BUCKET, Key=key, Body=content)


def _write_models(folder: Path) -> None:
    """Write the trivial model, and its like that knows no upper body."""
    folder.mkdir(parents=True, exist_ok=True)
    write_light_catalog(folder)
    shutil.copy(folder / f"{TRIVIAL}.onnx", folder / f"{LOWER_ONLY}.onnx")
    manifest = (folder / f"{TRIVIAL}.toml").read_text(encoding="utf-8")
    lines = [line for line in manifest.splitlines() if not line.startswith("upper = ")]
    lower_only = "\n".join(lines).replace(TRIVIAL, LOWER_ONLY).replace('"upper_body_mask", ', "")
    (folder / f"{LOWER_ONLY}.toml").write_text(lower_only, encoding="utf-8")
