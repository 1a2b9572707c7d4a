"""Commands of `maskline`, as processes of their own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import Any

SECONDS = 90


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """Return what it wrote as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


async def run_command(*arguments: str) -> Ran:
    """Run a command to its end."""
    return await end_of_command(await start_command(*arguments))


async def start_command(*arguments: str) -> Process:
    """Start a command as a process."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "producer_tools", *arguments),
        env=dict(os.environ),
        stdout=PIPE,
        stderr=PIPE,
    )


async def end_of_command(process: Process) -> Ran:
    """Wait for a started command's end."""
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())
