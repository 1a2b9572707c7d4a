"""A consumer as a process: started, watched through its log and its probes, and ill-treated."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from producer_tools.local import ports
from producer_tools.local.child import Child

POLL_SECONDS = 0.02
START_SECONDS = 90.0


class Stalled(AssertionError):
    """What had to happen didn't, within a generous deadline."""


async def until(happened: Callable[[], bool], what: str, *, seconds: float) -> float:
    """Wait for something to happen; give the seconds that it took.

    Raises:
        Stalled: it didn't, within `seconds`.
    """
    begin = time.monotonic()
    while not happened():
        if time.monotonic() - begin > seconds:
            raise Stalled(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - begin


class Owner:
    """One `maskline consume`, whether it owns the partition or stands by."""

    def __init__(
        self, name: str, *options: str, folder: Path, env: Mapping[str, str], planted: str | None
    ) -> None:
        """Start it, with that fault planted; what it says goes to `folder`/`name`.log."""
        module = ("tests.laboratory.planted", planted) if planted else ("producer_tools",)
        self.name = name
        self.log = folder / f"{name}.log"
        self.paused = False
        self.port = ports.choose("consumer", setting="HEALTH_PORT")
        self._read = 0
        self._said: list[dict[str, Any]] = []
        self._child = Child(
            name,
            (sys.executable, "-m", *module, "consume", *options),
            log=self.log,
            env={**env, "HOST": ports.HOST, "HEALTH_PORT": str(self.port)},
        )

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._child.running

    @property
    def rules(self) -> bool:
        """Whether its lane is open, as far as its log says."""
        lanes = [
            line["event"]
            for line in self.said()
            if line["event"] in ("lane.opened", "lane.closed", "lane.lost")
        ]
        return self.running and lanes[-1:] == ["lane.opened"]

    def said(self, event: str | None = None) -> list[dict[str, Any]]:
        """What its log says so far, of one event if given; only whole lines of JSON."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            fresh = log.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and "event" in said:
                self._said.append(said)
        return [line for line in self._said if event in (None, line["event"])]

    async def says(self, event: str, *, times: int = 1, seconds: float = START_SECONDS) -> float:
        """Wait until it has said `event`, and if `times` is given, so many times in all."""

        def has_said() -> bool:
            if len(self.said(event)) >= times:
                return True
            if not self.running:
                raise Stalled(f"{self.name} ended instead of saying {event}:\n{self.tail()}")
            return False

        return await until(has_said, f"{self.name} says {event}", seconds=seconds)

    async def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask its HTTP; status 0 where it doesn't answer."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(f"http://{ports.HOST}:{self.port}{path}")
        except httpx.HTTPError:
            return 0, {}
        try:
            return answer.status_code, answer.json()
        except ValueError as error:
            words = f"{answer.status_code} {answer.text[:200]!r}"
            raise Stalled(f"{self.name} answers {path} with {words}:\n{self.tail()}") from error

    async def answers(
        self,
        path: str,
        wanted: Callable[[int, dict[str, Any]], bool],
        *,
        seconds: float = START_SECONDS,
    ) -> float:
        """Wait until its answer is as wanted; give the seconds that it took."""
        begin = time.monotonic()
        while not wanted(*(last := await self.ask(path))):
            if not self.running:
                raise Stalled(f"{self.name} ended:\n{self.tail()}")
            if time.monotonic() - begin > seconds:
                raise Stalled(f"{self.name} answers {path} with {last}, for {seconds:g} s")
            await asyncio.sleep(POLL_SECONDS * 5)
        return time.monotonic() - begin

    async def is_ready(self, *, seconds: float = START_SECONDS) -> float:
        """Wait until it is ready."""
        return await self.answers("/readyz", lambda status, _: status == 200, seconds=seconds)

    async def holds(self, reason: str, *, seconds: float = START_SECONDS) -> float:
        """Wait until it isn't ready, and says that it holds because of `reason`."""

        def held(status: int, said: dict[str, Any]) -> bool:
            check = said.get("checks", {}).get("not_holding", {})
            return status == 503 and not check.get("ok", True) and reason in check["detail"]

        return await self.answers("/readyz", held, seconds=seconds)

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        self._child.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self._child.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self._child.signal(signal.SIGCONT)
        self.paused = False

    async def end(self, *, seconds: float = 45.0) -> None:
        """SIGTERM; it must end by itself, cleanly and in time."""
        self._child.signal(signal.SIGTERM)
        await until(lambda: not self.running, f"{self.name} ends after SIGTERM", seconds=seconds)
        self._child.kill()
        if not self.said("consumer.stopped"):
            raise Stalled(f"{self.name} did not end cleanly:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        return self._child.log_tail()
