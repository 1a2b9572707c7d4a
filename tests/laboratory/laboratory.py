"""The laboratory: a line of its own on the real stack, its consumers, and what becomes of it."""

import asyncio
import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from producer_tools.local.stack import LocalStack
from tests.laboratory.costs import read_starts
from tests.laboratory.evidence import (
    Evidence,
    Foreseen,
    Record,
    Upload,
    at_next_terminal_event,
    committed_offset,
    end_of,
    read_event,
    read_log,
    read_reigns,
    read_topic,
    read_upload,
)
from tests.laboratory.proxied import ProxiedStack
from tests.laboratory.toxiproxy import Proxy
from tests.laboratory.watch import Watch
from tests.laboratory.workload import BUCKET, LOWER_ONLY, REJECTED, Planned, objects, plan, submit
from tests.support.consumer_process import POLL_SECONDS, Owner, Stalled, until
from tests.support.models import TRIVIAL, write_trivial_body_model

SETTLE_SECONDS = 120.0
BACKLOG = 50
LATENCY_MS = (0, 50)
CALLBACK_TIMEOUT_SECONDS = 4.0
Say = Callable[[str], None]


class Laboratory:
    """A line on the stack: topics, a group, consumers that come and go.

    Args:
        stack: The real stack, running.
        folder: Where logs and the model are kept.
        seed: Of the callback's latencies.
        planted: A fault to plant in the consumers, by its name in `tests.laboratory.planted`.
        say: Where progress is told.

    Attributes:
        records: Submitted so far.
        mended_at: When it was last expected to go on, in Unix seconds: what ailed it was gone.
    """

    def __init__(
        self,
        stack: LocalStack,
        *,
        folder: Path,
        seed: int,
        planted: str | None = None,
        say: Say = print,
    ) -> None:
        self.stack = stack
        self.say = say
        self.owners: list[Owner] = []
        self.records = 0
        self.mended_at = 0.0
        self._folder = folder
        self._seed = seed
        self._planted = planted
        self._uploads: list[Upload] = []
        self._uploads_kept = 0
        self._refills = 0
        self._foreseen: dict[int, Foreseen] = {}
        token = uuid.uuid4().hex[:8]
        self._line = {
            "JOBS_TOPIC": f"mask.jobs.{token}",
            "STATUS_TOPIC": f"mask.status.{token}",
            "DEAD_LETTER_TOPIC": f"mask.jobs.dlq.{token}",
            "CONTROL_TOPIC": f"mask.control.{token}",
            "CONSUMER_GROUP": f"mask-segmentation-{token}",
        }
        self.watch = Watch(
            stack.kafka.bootstrap_servers,
            jobs=self._line["JOBS_TOPIC"],
            status=self._line["STATUS_TOPIC"],
            group=self._line["CONSUMER_GROUP"],
        )

    async def __aenter__(self) -> Self:
        _write_models(self._folder / "models")
        await asyncio.to_thread(self._fill_bucket)
        await self._make_topics()
        self.behave()
        await self.watch.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        await self.watch.__aexit__(kind, error, traceback)
        # It is gone where its restart is what failed; that error must be seen.
        with contextlib.suppress(httpx.HTTPError):
            self.stack.mask_assets.behave()

    @property
    def bootstrap(self) -> str:
        """Where Kafka answers."""
        return self.stack.kafka.bootstrap_servers

    @property
    def jobs_topic(self) -> str:
        """The line's jobs topic."""
        return self._line["JOBS_TOPIC"]

    def proxy(self, part: str) -> Proxy:
        """The proxy before a part, where the stack has proxies."""
        if not isinstance(self.stack, ProxiedStack):
            raise TypeError(f"no network fault can be struck on a {type(self.stack).__name__}")
        return self.stack.proxies[part]

    async def submit(self, planned: Sequence[Planned]) -> None:
        """Submit the workload, and remember how each record must end."""
        foreseen, _ = await submit(self.bootstrap, self.jobs_topic, planned)
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

    def start(self, *options: str, **settings: str) -> Owner:
        """Start a consumer; it runs when this returns, and may not be ready for long yet."""
        name = f"consumer-{len(self._logs()):03}"
        env = {**os.environ, **self._environment(), **settings}
        owner = Owner(name, *options, folder=self._folder, env=env, planted=self._planted)
        self.owners.append(owner)
        return owner

    def dismiss(self, owner: Owner) -> None:
        """Forget an owner that has ended; its log stays."""
        self.owners.remove(owner)

    async def ruler(self, *, seconds: float = SETTLE_SECONDS) -> Owner:
        """Wait for a consumer whose lane is open, and give it."""
        found: list[Owner] = []

        def rules() -> bool:
            found[:] = [owner for owner in self.owners if owner.rules and not owner.paused]
            ended = [owner for owner in self.owners if not owner.running]
            if ended and not found:
                raise Stalled(f"{ended[0].name} has ended by itself:\n{ended[0].tail()}")
            return bool(found)

        await until(rules, "a consumer opens its lane", seconds=seconds)
        return found[-1]

    async def reaches(self, count: int, *, quiet_seconds: float = SETTLE_SECONDS) -> None:
        """Wait until `count` records are settled, as long as there is progress.

        Raises:
            Stalled: a consumer ended that nobody ended, or nothing moved for `quiet_seconds`.
        """
        while self.watch.settled < count:
            self.watch_owners()
            if time.monotonic() - self.watch.progressed_at > quiet_seconds:
                raise Stalled(
                    f"nothing settled for {quiet_seconds:g} s, {self.watch.settled} of"
                    f" {self.records} are\n" + "\n".join(owner.tail() for owner in self.owners)
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
            self.watch_owners()
            return self.watch.settled >= count

        return await until(moved_on, f"{by} more records are settled", seconds=seconds)

    async def at_next_terminal_event(self, strike: Callable[[], None], *, isolation: str) -> None:
        """Strike as soon as a terminal event can be read at that isolation level."""
        async with asyncio.timeout(SETTLE_SECONDS):
            await at_next_terminal_event(
                self.bootstrap, self._line["STATUS_TOPIC"], strike, isolation=isolation
            )

    def watch_owners(self) -> None:
        """Raise where a consumer has ended that nobody ended."""
        for owner in self.owners:
            if not owner.running:
                raise Stalled(f"{owner.name} has ended by itself:\n{owner.tail()}")

    async def end(self) -> None:
        """End all consumers by SIGTERM."""
        for owner in list(self.owners):
            await owner.end()
            self.dismiss(owner)

    def kill(self) -> None:
        """End all consumers by SIGKILL."""
        for owner in self.owners:
            owner.kill()

    async def keep_uploads(self, *, before_kill: bool = False) -> None:
        """Keep what is new in the service's log: it remembers only so much, and dies forgetting."""
        log = await asyncio.to_thread(self.stack.mask_assets.uploads, since=self._uploads_kept)
        topic = f"/{self.jobs_topic}/"
        self._uploads += [
            read_upload(line)
            for line in log
            # Other lines may share the stack; an upload without a key is nobody's but ours.
            if line["idempotency_key"] is None or topic in line["idempotency_key"]
        ]
        if log:
            self._uploads_kept = log[-1]["number"] + 1
        if before_kill:
            self._uploads_kept = 0

    def starts(self) -> list[tuple[float, int]]:
        """When each record was begun, and its offset, as the consumers' logs say."""
        return read_starts(self._logs())

    async def evidence(self) -> Evidence:
        """Gather what the run has left behind, once its consumers have ended."""
        await self.keep_uploads()
        jobs = await self._read("JOBS_TOPIC")
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            offset = await committed_offset(admin, self._line["CONSUMER_GROUP"], self.jobs_topic)
        finally:
            await admin.close()
        return Evidence(
            topic=self.jobs_topic,
            jobs=jobs,
            foreseen=self._foreseen,
            committed=tuple(read_event(one) for one in await self._read("STATUS_TOPIC")),
            uncommitted=tuple(
                read_event(one)
                for one in await self._read("STATUS_TOPIC", isolation="read_uncommitted")
            ),
            dead_letters=await self._read("DEAD_LETTER_TOPIC"),
            offset=offset,
            end=await end_of(self.bootstrap, self.jobs_topic),
            samples=tuple(self.watch.samples),
            uploads=tuple(self._uploads),
            reigns=tuple(
                reign for log in self._logs() for reign in read_reigns(log.stem, read_log(log))
            ),
        )

    def _logs(self) -> list[Path]:
        return sorted(self._folder.glob("consumer-*.log"))

    async def _read(self, topic: str, isolation: str = "read_committed") -> tuple[Record, ...]:
        return await read_topic(self.bootstrap, self._line[topic], isolation=isolation)

    def _environment(self) -> dict[str, str]:
        return {
            **self.stack.environment(),
            **self._line,
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

    async def _make_topics(self) -> None:
        """Make the topics by the product's own command, as an operator would."""
        command = (sys.executable, "-m", "producer_tools", "topics", "create")
        made = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **self._environment()},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, words = await made.communicate()
        if made.returncode:
            raise Stalled(f"topics create: {words.decode()}")


def _write_models(folder: Path) -> None:
    """Write the trivial model, and its like that knows no upper body."""
    folder.mkdir(parents=True, exist_ok=True)
    write_trivial_body_model(folder)
    shutil.copy(folder / f"{TRIVIAL}.onnx", folder / f"{LOWER_ONLY}.onnx")
    manifest = (folder / f"{TRIVIAL}.toml").read_text(encoding="utf-8")
    lines = [line for line in manifest.splitlines() if not line.startswith("upper = ")]
    lower_only = "\n".join(lines).replace(TRIVIAL, LOWER_ONLY).replace('"upper_body_mask", ', "")
    (folder / f"{LOWER_ONLY}.toml").write_text(lower_only, encoding="utf-8")
