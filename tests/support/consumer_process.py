"""A consumer as a process: watched through its log and its probes, and ill-treated."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from producer_tools.local import ports
from producer_tools.local.child import Child
from tests.support.logs import read_entries

POLL_SECONDS = 0.02
START_SECONDS = 90.0


class Stalled(AssertionError):
    """What had to happen didn't, within a generous deadline."""


async def until(
    happened: Callable[[], bool | Awaitable[bool]], what: str, *, seconds: float = START_SECONDS
) -> float:
    """Wait for something to happen; give the seconds that it took.

    Raises:
        Stalled: it didn't, within `seconds`.
    """
    begin = time.monotonic()
    while not (now if isinstance(now := happened(), bool) else await now):
        if time.monotonic() - begin > seconds:
            raise Stalled(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - begin


class ConsumerProcess(Child):
    """One consumer, whether it owns the partition or stands by."""

    def __init__(
        self,
        name: str,
        *options: str,
        folder: Path,
        environment: Mapping[str, str],
        module: Sequence[str] = ("consumer",),
    ) -> None:
        """Start the module with the environment on top of ours; the log is `folder`/`name`.log."""
        self.port = ports.choose("consumer", setting="HEALTH_PORT")
        self.paused = False
        self._read = 0
        self._entries: list[dict[str, Any]] = []
        super().__init__(
            name,
            (sys.executable, "-m", *module, *options),
            log=folder / f"{name}.log",
            env={
                **os.environ,
                **environment,
                "HOST": ports.HOST,
                "HEALTH_PORT": str(self.port),
            },
        )

    @property
    def owns_lane(self) -> bool:
        """Whether its lane is open, by its log."""
        lanes = ("lane.opened", "lane.closed", "lane.lost")
        last = [entry["event"] for entry in self.entries() if entry["event"] in lanes][-1:]
        return self.running and last == ["lane.opened"]

    def entries(self, event: str | None = None) -> list[dict[str, Any]]:
        """The entries of its log so far, of one event if given; only whole lines of JSON."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            fresh = log.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        self._entries += read_entries(whole)
        return [entry for entry in self._entries if event in (None, entry["event"])]

    async def until_logged(
        self, event: str, *, times: int = 1, seconds: float = START_SECONDS
    ) -> float:
        """Wait until `event` is in its log, so many times in all."""

        def is_logged() -> bool:
            if len(self.entries(event)) >= times:
                return True
            self.check_running()
            return False

        return await until(is_logged, f"{self.name} logs {event}", seconds=seconds)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask its HTTP; status 0 where it doesn't answer."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                response = await client.get(f"http://{ports.HOST}:{self.port}{path}")
        except httpx.HTTPError:
            return 0, {}
        try:
            return response.status_code, response.json()
        except ValueError as error:
            words = f"{response.status_code} {response.text[:200]!r}"
            raise Stalled(f"{self.name} answers {path} with {words}:\n{self.log_tail()}") from error

    async def stats(self) -> dict[str, Any]:
        """Its `/stats`."""
        return (await self.get("/stats"))[1]

    async def until_answered(
        self,
        path: str,
        wanted: Callable[[int, dict[str, Any]], bool],
        *,
        seconds: float = START_SECONDS,
    ) -> float:
        """Wait until its answer is as wanted; give the seconds that it took."""
        last: tuple[int, dict[str, Any]] = (0, {})

        async def is_wanted() -> bool:
            nonlocal last
            last = await self.get(path)
            if wanted(*last):
                return True
            self.check_running()
            await asyncio.sleep(POLL_SECONDS * 4)
            return False

        try:
            return await until(is_wanted, f"{self.name} answers {path} otherwise", seconds=seconds)
        except Stalled as stalled:
            raise Stalled(f"{stalled}; it answers {last}:\n{self.log_tail()}") from None

    async def until_assigned(self, assigned: bool = True) -> float:
        """Wait until it has the partition, or has it no more."""
        return await self.until_answered(
            "/stats", lambda _, stats: stats.get("assigned") is assigned
        )

    async def until_ready(self) -> float:
        """Wait until it is ready."""
        return await self.until_answered("/readyz", lambda status, _: status == 200)

    async def until_holding(self, reason: str) -> float:
        """Wait until it isn't ready because it holds, with `reason` in its answer."""
        return await self._until_unready("not_holding", reason)

    async def until_halted(self, reason: str) -> float:
        """Wait until it isn't ready because the line is halted, with `reason` in its answer."""
        return await self._until_unready("not_halted", reason)

    async def _until_unready(self, check: str, reason: str) -> float:
        def is_unready(status: int, body: dict[str, Any]) -> bool:
            found = body.get("checks", {}).get(check, {})
            return status == 503 and not found.get("ok", True) and reason in found["detail"]

        return await self.until_answered("/readyz", is_unready)

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)
        self.paused = False

    async def exit_code(self, *, seconds: float = 60.0) -> int:
        """Wait for its end; give its exit code."""
        await until(lambda: not self.running, f"{self.name} ends", seconds=seconds)
        self.kill()  # ends the watchdog, too
        return self._program.returncode

    async def end(self) -> None:
        """SIGTERM; it must end by itself, cleanly and in time."""
        self.signal(signal.SIGTERM)
        code = await self.exit_code(seconds=45)
        if code or not self.entries("consumer.stopped"):
            raise Stalled(f"{self.name} did not end cleanly ({code}):\n{self.log_tail()}")

    def check_running(self) -> None:
        """Raise where it has ended."""
        if not self.running:
            raise Stalled(f"{self.name} has ended by itself:\n{self.log_tail()}")
