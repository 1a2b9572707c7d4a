"""`--schedule rights`: each role with exactly its rights in Kafka, and each taken away in turn.

A real broker with an authorizer. Each role does its work with the rights of the table and no other.
Then each right is removed, before a start and, of what keeps running, while it runs. What is said
must name the right, its resource and the command that grants it. The command is carried out, and
the work must go on by itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from consumer.kafka.rights import ROLES, Right, Role
from producer_tools.local.stack import LocalStack
from tests.laboratory.oracle import Verdict
from tests.support.acls import commands_in
from tests.support.consumer_process import Stalled, until
from tests.support.line_names import LineNames
from tests.support.secure_kafka import SecureKafka
from tests.support.secure_line import (
    PHOTO,
    REFUSED,
    Done,
    SecureLine,
    operators_command,
    submitted,
)

SCHEDULE = "rights"
SESSION_SECONDS = 6.0
ANSWER_SECONDS = 2.0
"""What asking may take on a busy machine, beyond the session's time-out."""
BACK_SECONDS = 60.0
DEADLINE_SECONDS = 90.0

Ready = Callable[[], Awaitable[tuple[int, str]]]
"""Asks `/readyz`: the status, and all that it says."""


async def run(
    stack: LocalStack, *, folder: Path, progress: Callable[[str], None] = print
) -> list[Verdict]:
    """Do all of it; give a verdict for each role's work and each right's removal."""
    verdicts: list[Verdict] = []

    def note(name: str, wrong: str | None, seconds: float) -> None:
        verdicts.append(Verdict(name, () if wrong is None else (wrong,)))
        progress(f"{verdicts[-1]} ({seconds:.1f} s)")

    with SecureKafka() as kafka:
        line = SecureLine(kafka, stack, LineNames.fresh(), folder)
        line.prepare()
        await line.grant_all(*ROLES)
        for role, work in WORK.items():
            begin = time.monotonic()
            note(f"{role} works", await work(line), time.monotonic() - begin)
        for role in ROLES:
            for right in (right for right in line.rights(role) if right.needed):
                begin = time.monotonic()
                wrong = await refused_at_start(line, role, right)
                note(f"{role} without {_named(right)}, at start", wrong, time.monotonic() - begin)
        async with running(line) as services:
            for role, service in services.items():
                for right in (right for right in line.rights(role) if right.needed):
                    begin = time.monotonic()
                    wrong = await refused_while_running(line, role, right, service)
                    seconds = time.monotonic() - begin
                    note(f"{role} without {_named(right)}, at run time", wrong, seconds)
    return verdicts


async def refused_at_start(line: SecureLine, role: Role, right: Right) -> str | None:
    """Start a role's work without one of its rights, and again once the right is granted.

    Gives what is wrong with that; None where it is as it must be.
    """
    if role == "topic creator":
        line = SecureLine(line.kafka, line.stack, LineNames.fresh(), line.folder)
        await line.grant_all(role)
        right = next(one for one in line.rights(role) if _likeness(one) == _likeness(right))
    await line.acls.remove(line.command(role, right))
    done = await begin(line, role, right)
    wrong = None if done.code == REFUSED else f"it ends with {done.code}: {done.words}"
    return wrong or await mended(line, role, right, done.words)


async def refused_while_running(
    line: SecureLine, role: Role, right: Right, ready: Ready
) -> str | None:
    """Take a right away from what runs: it must say so in time, and be ready again by itself."""
    await line.acls.remove(line.command(role, right))
    words = ""

    async def is_refused() -> bool:
        nonlocal words
        status, words = await ready()
        return status == 503 and f"no {right.operation} on {right.resource}" in words

    try:
        await until(is_refused, "it says so", seconds=SESSION_SECONDS + ANSWER_SECONDS)
    except Stalled as stalled:
        await line.acls.add(line.command(role, right))
        return f"{stalled}; it says {words}"
    wrong = await mended(line, role, right, words)
    if wrong is not None:
        return wrong

    async def is_ready() -> bool:
        nonlocal words
        status, words = await ready()
        return status == 200

    try:
        await until(is_ready, "it is ready again", seconds=BACK_SECONDS)
    except Stalled as stalled:
        return f"{stalled}; it says {words}"
    return None


async def mended(line: SecureLine, role: Role, right: Right, words: str) -> str | None:
    """Carry out the command that the words name; say what is wrong with them."""
    wanted = line.command(role, right)
    named = list(dict.fromkeys(commands_in(words)))
    await line.acls.add(*(named if named == [wanted] else [wanted]))
    if f"no {right.operation} on {right.resource}" not in words or named != [wanted]:
        return f"it doesn't name {right.operation} on {right.resource} alone: {words}"
    return None


async def begin(line: SecureLine, role: Role, right: Right) -> Done:
    """Begin a role's work that takes the right."""
    if role == "subscriber":
        return await line.first_event()
    if role == "operator" and right.name.endswith("-cancel-"):
        await asyncio.to_thread(line.maskline, "admin", "submit", PHOTO, "--batch", "waiting")
    arguments: Mapping[Role, tuple[str, ...]] = {
        "consumer": ("consume",),
        "gateway": ("gateway",),
        "operator": operators_command(right, line.names),
        "topic creator": ("topics", "create"),
        "producer": ("submit", PHOTO),
    }
    if role == "replayer":
        return await asyncio.to_thread(line.replay_run)
    return await asyncio.to_thread(line.maskline, role, *arguments[role])


async def _create(line: SecureLine) -> str | None:
    return _as_it_must(line.maskline("topic creator", "topics", "create"))


async def _produce(line: SecureLine) -> str | None:
    """Write a job; and one whose name is known, which only an operator's command does."""
    return _as_it_must(line.maskline("producer", "submit", PHOTO)) or _as_it_must(
        line.maskline("operator", "submit", PHOTO, "--batch", "first")
    )


async def _serve(line: SecureLine) -> str | None:
    """Serve what was produced, and garbage."""
    await line.send_garbage()
    consumer = line.consumer()
    try:
        await consumer.until_answered(
            "/stats", lambda _, stats: stats.get("jobs_processed") == 3, seconds=DEADLINE_SECONDS
        )
        await consumer.until_ready()
        warnings = [entry["reason"] for entry in consumer.entries("rights.missing")]
        await consumer.end()
    except Stalled as stalled:
        return str(stalled)
    finally:
        consumer.kill()
    return f"it misses {warnings}" if warnings else None


async def _subscribe(line: SecureLine) -> str | None:
    done = await line.first_event()
    return None if done == Done(0, "processing") else done.words


async def _replay(line: SecureLine) -> str | None:
    return _as_it_must(await asyncio.to_thread(line.replay_run))


async def _operate(line: SecureLine) -> str | None:
    for command in (
        ("stats",),
        ("dead-letters", "redrive", "--code", "invalid_message", "--execute"),
        ("replay", "--job", "first:0", "--replay-id", "copies", "--max-waiting", "9", "--execute"),
        ("cancel", "copies:1"),
        ("resume",),
    ):
        done = await asyncio.to_thread(line.maskline, "operator", *command)
        if done.code:
            return f"{' '.join(command)}: {done.words}"
    return None


async def _answer(line: SecureLine) -> str | None:
    async with line.gateway() as gateway:
        done = await asyncio.to_thread(submitted, gateway)
    return None if done.code == 200 else done.words


WORK = {
    "topic creator": _create,
    "producer": _produce,
    "consumer": _serve,
    "subscriber": _subscribe,
    "replayer": _replay,
    "operator": _operate,
    "gateway": _answer,
}
"""Each role's work, in an order in which each finds what it needs."""


@asynccontextmanager
async def running(line: SecureLine) -> AsyncIterator[dict[Role, Ready]]:
    """Run a consumer and a gateway; give how each is asked whether it is ready."""
    async with AsyncExitStack() as opened:
        consumer = line.consumer()
        opened.callback(consumer.kill)
        gateway = await opened.enter_async_context(line.gateway())
        await consumer.until_ready()
        yield {
            "consumer": lambda: _asked_owner(f"http://127.0.0.1:{consumer.port}"),
            "gateway": lambda: _asked(gateway.url),
        }
        await consumer.end()


async def _asked(url: str) -> tuple[int, str]:
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return 0, repr(error)
    details = (check["detail"] for check in answer.json()["checks"].values() if not check["ok"])
    return answer.status_code, "; ".join(details)


async def _asked_owner(url: str) -> tuple[int, str]:
    """The same; the only consumer isn't ready before it has the partition again."""
    status, words = await _asked(url)
    if status == 200:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            if not (await client.get(f"{url}/stats")).json()["assigned"]:
                return 0, "it is ready, and has no partition"
    return status, words


def _likeness(right: Right) -> tuple[str, str]:
    """What is the same of a right on another line's topics."""
    return right.operation, right.name.rpartition(".")[0]


def _as_it_must(done: Done) -> str | None:
    return f"it ends with {done.code}: {done.words}" if done.code else None


def _named(right: Right) -> str:
    return f"{right.operation} on {right.resource}"
