"""Commands of `maskline`, run in this process, which is quicker, or started as one of their own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from consumer.errors import StartError
from producer_tools.cli.app import app
from producer_tools.errors import ToolError

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
    """Run a command in a thread to its end. One at a time: it takes stdout and stderr."""
    async with asyncio.timeout(SECONDS):
        return await asyncio.to_thread(_run, arguments)


def _run(arguments: tuple[str, ...]) -> Ran:
    result = CliRunner().invoke(app, arguments)
    error = result.exception
    if isinstance(error, ToolError | StartError):
        return Ran(error.exit_code, result.stdout, f"{result.stderr}maskline: {error}")
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Ran(result.exit_code, result.stdout, result.stderr)


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
