"""`--schedule sessions`: a broker that ends sessions, and secrets that are replaced, under load.

Three lines on one broker with `connections.max.reauth.ms`. Each logs in by another way: a
password, a certificate, an access token. Halfway each one's secret is replaced, and the old one is
refused from then on. Each record must have its one terminal event, in order; how long a line stood
still is measured at the replacement and apart from it.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumer.kafka import topics
from consumer.kafka.rights import rights_of
from consumer.settings import KafkaSettings, load
from producer_tools.local.stack import LocalStack
from tests.support.acls import Acls
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames
from tests.support.mounted_secret import MountedSecret
from tests.support.scram import replace_password
from tests.support.secure_kafka import PASSWORDS, SecureKafka
from tests.support.secure_line import PHOTO, SecureLine
from tests.support.token_endpoint import CLIENT, SECRET, TokenEndpoint
from tests.support.topics import TERMINAL_STATES

SCHEDULE = "sessions"
USER = "consumer"
SETTLE_SECONDS = 60.0
RENEWAL_SECONDS = 20.0
"""From a replaced secret on, within which a stop is counted as its."""
WAYS = ("scram", "mtls", "oauth")

Replace = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Event:
    """A terminal event."""

    offset: int
    """Of its record."""
    state: str
    at: float
    """When it was written, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Served:
    """What came of one line."""

    way: str
    records: int
    events: tuple[Event, ...]
    replaced_at: float
    lanes_lost: int

    @property
    def wrong(self) -> list[str]:
        """Say what isn't as it must be."""
        offsets = [event.offset for event in self.events]
        wrong = []
        if missing := set(range(self.records)) - set(offsets):
            wrong.append(f"{len(missing)} records have no end")
        if doubled := len(offsets) - len(set(offsets)):
            wrong.append(f"{doubled} ends are doubled")
        if offsets != sorted(offsets):
            wrong.append("ends are out of order")
        if others := [event for event in self.events if event.state != "completed"]:
            wrong.append(f"{len(others)} aren't completed")
        return wrong

    def longest_stop(self, *, at_renewal: bool) -> float:
        """Give the longest time between two ends, at the secret's replacement or apart from it."""
        pairs = zip(self.events, self.events[1:], strict=False)
        last = self.replaced_at + RENEWAL_SECONDS
        return max(
            (
                after.at - before.at
                for before, after in pairs
                if at_renewal == (after.at > self.replaced_at and before.at < last)
            ),
            default=0.0,
        )

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.way}: {self.records} records, {'; '.join(self.wrong) or 'all well'},"
            f" {self.lanes_lost} lanes lost; longest stop"
            f" {self.longest_stop(at_renewal=True):.1f} s at the renewal,"
            f" {self.longest_stop(at_renewal=False):.1f} s else"
        )


async def run(
    stack: LocalStack,
    *,
    folder: Path,
    session_seconds: float,
    seconds: float,
    every: float,
    ways: tuple[str, ...] = WAYS,
) -> list[Served]:
    """Serve for so long a record every so many seconds on each line; give what came of each."""
    with SecureKafka(reauth_milliseconds=int(session_seconds * 1000)) as kafka:
        async with TokenEndpoint(principal=USER, seconds=session_seconds) as tokens:
            return await asyncio.gather(
                *(
                    _serve(_Way(way, kafka, tokens, stack, folder / way), seconds, every)
                    for way in ways
                )
            )


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to log in, and how its secret is replaced."""

    name: str
    kafka: SecureKafka
    tokens: TokenEndpoint
    stack: LocalStack
    folder: Path

    def environment(self) -> dict[str, str]:
        """Settings without the secret, which is a file."""
        common = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address(self.name),
            "KAFKA_CA_FILE": str(self.kafka.authority.file),
            "SECRETS_DIR": str(self.folder / "secrets"),
        }
        own: Mapping[str, dict[str, str]] = {
            "scram": {
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                "KAFKA_USERNAME": USER,
            },
            "mtls": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CERT_FILE": str(self._pair)},
            "oauth": {
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
                "KAFKA_OAUTH_TOKEN_URL": self.tokens.origin,
                "KAFKA_OAUTH_CLIENT_ID": CLIENT,
            },
        }
        return common | own[self.name]

    def first_secret(self) -> Replace:
        """Write it, and give what replaces it."""
        secrets = {
            "scram": {"kafka_password": PASSWORDS[USER]},
            "mtls": {},
            "oauth": {"kafka_oauth_client_secret": SECRET},
        }
        mounted = MountedSecret(self.folder / "secrets", secrets[self.name])
        if self.name == "mtls":
            self._write_pair()

        async def replace() -> None:
            if self.name == "scram":
                async with Acls(self.kafka).admin() as admin:
                    await replace_password(admin, USER, "another-password")
                mounted.replace({"kafka_password": "another-password"})
            elif self.name == "oauth":
                self.tokens.secret = "another-client-secret"  # noqa: S105
                mounted.replace({"kafka_oauth_client_secret": self.tokens.secret})
            else:
                self._write_pair()

        return replace

    @property
    def _pair(self) -> Path:
        return self.folder / "client.pem"

    def _write_pair(self) -> None:
        """Write a key and its certificate, as a whole."""
        fresh = self.folder / "client.new"
        fresh.write_bytes(self.kafka.authority.pair(USER))
        fresh.replace(self._pair)


async def _serve(way: _Way, seconds: float, every: float) -> Served:
    way.folder.mkdir(parents=True)
    line = SecureLine(way.kafka, way.stack, LineNames.fresh(), way.folder)
    line.prepare()
    replace = way.first_secret()
    await _make_topics(line)
    environment = {**line.environment(USER), **way.environment()}
    for name in ("KAFKA_PASSWORD", *(() if way.name == "scram" else ("KAFKA_USERNAME",))):
        del environment[name]
    consumer = ConsumerProcess(f"consumer-{way.name}", folder=way.folder, environment=environment)
    try:
        await consumer.until_ready()
        records, replaced_at = await _load(line, replace, seconds, every)
        ends = [event async for event in _ends(line, records)]
        lost = len(consumer.entries("lane.lost"))
        await consumer.end()
    finally:
        consumer.kill()
    return Served(way.name, records, tuple(ends), replaced_at, lost)


async def _make_topics(line: SecureLine) -> None:
    with patch.dict(os.environ, line.environment("admin")):
        settings = load(KafkaSettings)
    await topics.create(settings)
    await line.acls.add(
        *(line.command("consumer", right) for right in rights_of("consumer", settings))
    )


async def _load(
    line: SecureLine, replace: Replace, seconds: float, every: float
) -> tuple[int, float]:
    """Submit at a steady pace, and replace the secret halfway; give how many, and when."""
    begin, count, replaced_at = time.monotonic(), 0, 0.0
    job = {"user_id": "u", "image": PHOTO}
    async with AIOKafkaProducer(**line.kafka.admin_options()) as producer:
        while (passed := time.monotonic() - begin) < seconds:
            if not replaced_at and passed > seconds / 2:
                replaced_at = time.time()
                await replace()
            value = json.dumps({"job_id": f"j{count}", **job}).encode()
            await producer.send_and_wait(line.names.jobs, value, key=b"j")
            count += 1
            await asyncio.sleep(max(0.0, begin + count * every - time.monotonic()))
    return count, replaced_at


async def _ends(line: SecureLine, records: int) -> AsyncIterator[Event]:
    """Give the terminal events up to that of the last record, and what comes right after it."""
    partition = TopicPartition(line.names.status, 0)
    async with _reading(line) as reader:
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        deadline, ended = time.monotonic() + SETTLE_SECONDS, False
        while not ended and time.monotonic() < deadline:
            found = await reader.getmany(partition, timeout_ms=500)
            for record in found.get(partition, []):
                event = json.loads(record.value)
                if event["state"] in TERMINAL_STATES:
                    offset = event["source"]["offset"]
                    ended |= offset == records - 1
                    yield Event(offset, event["state"], record.timestamp / 1000)


@asynccontextmanager
async def _reading(line: SecureLine) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(
        isolation_level="read_committed", enable_auto_commit=False, **line.kafka.admin_options()
    )
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()
