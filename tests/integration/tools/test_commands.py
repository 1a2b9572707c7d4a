"""`maskline` as it is used: at a terminal, in a pipe, interrupted, and in trouble."""

import asyncio
import json
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from producer_tools.local import ports
from producer_tools.view.folder import Folder
from schemas.job import Job
from schemas.status import State
from tests.integration.tools.conftest import ToolLine
from tests.support.photos import saved

pytestmark = pytest.mark.integration

SECONDS = 90
_ELEVEN: tuple[State, ...] = ("completed",) * 11


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """Return what it wrote as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Maskline = Callable[..., Any]


@pytest.fixture
def environment(tool_line: ToolLine, tmp_path: Path) -> dict[str, str]:
    """The commands' environment: the test's line, and a view of its own."""
    del tool_line  # it has set the environment
    return {**os.environ, "VIEW_FILE": str(tmp_path / "view" / "view.db")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve photos, and something else."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        photo = saved(Image.new("RGB", (16, 24), (number, 0, 0)))
        (folder / f"{number:02}.png").write_bytes(photo)
    (folder / "notes.txt").write_text("no photo")
    return folder


@asynccontextmanager
async def started(
    environment: dict[str, str], *arguments: str, **options: Any
) -> AsyncIterator[Process]:
    """Start a command, and kill it if it still runs at the end."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "producer_tools", *arguments],
        env=environment,
        **{"stdout": PIPE, "stderr": PIPE, **options},
    )
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def maskline(environment: dict[str, str], *arguments: str) -> Ran:
    """Run a command to its end."""
    async with started(environment, *arguments) as process:
        out, err = await process.communicate()
        return Ran(process.returncode or 0, out.decode(), err.decode())


async def jobs_of(line: ToolLine) -> list[Job]:
    """Read the jobs topic."""
    return [Job.read(record.value) for record in await line.records(line.kafka.jobs_topic)]


async def end_jobs(line: ToolLine, states: Sequence[State]) -> None:
    """End so many jobs in these states, as soon as their records are there."""
    ended = 0
    while ended < len(states):
        for record in (await line.records(line.kafka.jobs_topic))[ended : len(states)]:
            await line.event(states[ended], record.offset, Job.read(record.value).job_id)
            ended += 1


async def test_a_batch_is_sent_once_however_often_it_is_submitted(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    command = ("submit", str(photos), str(photos / "gone.png"), "--batch", "b", "--format", "jsonl")
    ran = await maskline(environment, *command)
    assert (0, [f"b:{index}" for index in range(12)]) == (
        ran.code,
        [line["job"] for line in ran.lines()],
    )
    assert "left out" in ran.err
    assert "gone.png" in ran.err
    again = await maskline(environment, *command)
    assert (0, []) == (again.code, again.lines())
    jobs = await jobs_of(tool_line)
    assert [f"b:{index}" for index in range(12)] == [job.job_id for job in jobs]
    assert {12} == {job.batch.size for job in jobs if job.batch}
    other = await maskline(environment, "submit", str(photos / "01.png"), "--batch", "b")
    assert (2, "") == (other.code, other.out)
    assert "other photos" in other.err


async def test_ctrl_c_says_what_was_sent_and_the_same_command_goes_on(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    for number in range(12, 400):
        (photos / f"{number:03}.png").write_bytes(b"x" * 100_000)
    command = ("submit", str(photos), "--batch", "b", "--format", "jsonl")
    async with started(environment, *command) as process:
        assert process.stdout is not None
        first = await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = await process.communicate()
        sent = len((first + rest).splitlines())
        assert 130 == process.returncode
    assert f"{sent} of 400 jobs were sent" in err.decode()
    assert sent == len(await jobs_of(tool_line)) < 400
    ran = await maskline(environment, *command)
    assert (0, 400 - sent) == (ran.code, len(ran.lines()))
    assert [f"b:{index}" for index in range(400)] == [
        job.job_id for job in await jobs_of(tool_line)
    ]


async def test_the_first_record_is_there_before_the_last_photo_is_read(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    """A photo that is gone by its turn gets its record all the same, so that the batch ends."""
    for number in range(12, 200):
        (photos / f"{number:03}.png").write_bytes(b"x")
    command = ("submit", str(photos), "--batch", "b", "--format", "jsonl")
    async with started(environment, *command) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        (photos / "199.png").unlink()
        out, _ = await process.communicate()
        assert 0 == process.returncode
    last = json.loads(out.splitlines()[-1])
    assert ("b:199", True) == (last["job"], "199.png" in last["error"])
    assert 200 == len(await jobs_of(tool_line))


async def test_waiting_ends_with_a_table_and_the_exit_code_of_the_worst(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    ending = asyncio.create_task(end_jobs(tool_line, (*_ELEVEN, "failed")))
    ran = await maskline(environment, "submit", str(photos), "--wait", "--batch", "b")
    await ending
    assert 1 == ran.code
    assert 11 == ran.out.count("completed")
    assert "invalid_image: not an image" in ran.out
    assert "11 completed, 1 failed" in ran.err
    watched = await maskline(environment, "watch", "--batch", "b")
    assert (1, "b: 11 completed, 1 failed") == (watched.code, watched.err.strip())


async def test_a_timeout_says_how_far_it_came(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    command = ("submit", str(photos), "--wait", "--timeout", "0.1")
    ran = await maskline(environment, *command)
    assert 5 == ran.code
    assert "of 12 jobs were sent, and 0 of them have ended" in ran.err


async def test_a_terminal_shows_one_bar(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    ending = asyncio.create_task(end_jobs(tool_line, ["completed"] * 12))
    code, out, text = await at_terminal(
        environment, "submit", str(photos), "--wait", "--format", "jsonl"
    )
    await ending
    assert (0, 12) == (code, len([json.loads(line) for line in out.splitlines()]))
    assert "12/12" in text
    assert "━" in text


async def test_a_bar_begins_with_what_was_sent_before(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    for index in range(5):
        batch = {"batch_id": "b", "index": index, "size": 12}
        metadata = {"filename": f"{index:02}.png"}
        await tool_line.job(f"b:{index}", batch=batch, metadata=metadata)
    _, out, text = await at_terminal(
        environment, "submit", str(photos), "--batch", "b", "--format", "jsonl"
    )
    assert [f"b:{index}" for index in range(5, 12)] == [
        json.loads(line)["job"] for line in out.splitlines()
    ]
    assert "5/12" in text
    assert "12/12" in text


async def at_terminal(environment: dict[str, str], *arguments: str) -> tuple[int | None, str, str]:
    """Run a command whose stderr is a terminal; return its exit code, output and what is shown."""
    ours, theirs = pty.openpty()
    terminal = {**environment, "TERM": "xterm", "COLUMNS": "100"}
    async with started(terminal, *arguments, stderr=theirs) as process:
        os.close(theirs)
        shown = asyncio.create_task(asyncio.to_thread(_read_all, ours))
        out, _ = await process.communicate()
        return process.returncode, out.decode(), (await shown).decode()


def _read_all(terminal: int) -> bytes:
    found = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            part = b""
        if not part:
            os.close(terminal)
            return found
        found += part


async def test_status_tells_a_jobs_whole_story(
    tool_line: ToolLine, environment: dict[str, str]
) -> None:
    offset = await tool_line.job("a", metadata={"filename": "front.jpg"})
    await tool_line.event("processing", offset)
    await tool_line.event("retrying", offset, attempt=2)
    held = (await maskline(environment, "status", "a", "--format", "jsonl")).lines()[0]
    assert ("retrying", 2, "storage_unavailable: S3 is down") == (
        held["state"],
        held["attempts"],
        held["error"],
    )
    stats = (await maskline(environment, "stats", "--format", "jsonl")).lines()[0]
    assert (1, "a", held["error"], 0) == (
        stats["lag"],
        stats["current_job"],
        stats["held"],
        stats["members"],
    )
    await tool_line.event("completed", offset, attempt=3)
    ran = await maskline(environment, "status", "a")
    assert 0 == ran.code
    for text in ("completed", "minio://masks/a", "front.jpg"):
        assert text in ran.out


async def test_lists_are_the_newest_first(tool_line: ToolLine, environment: dict[str, str]) -> None:
    for number in range(4):
        await tool_line.job(f"j{number}")
    await tool_line.write(tool_line.kafka.jobs_topic, None, key=b"\xff" * 500_000)
    ran = await maskline(environment, "jobs", "--limit", "3", "--format", "jsonl")
    assert ["failed", "queued", "queued"] == [row["state"] for row in ran.lines()]
    assert "3 of 5 jobs" in ran.err
    queued = await maskline(environment, "jobs", "--state", "queued", "--format", "json")
    rows = json.loads(queued.out)
    assert [("j3", 4), ("j2", 3), ("j1", 2), ("j0", 1)] == [
        (row["job"], row["position"]) for row in rows
    ]


async def test_trouble_is_one_sentence(
    tool_line: ToolLine, environment: dict[str, str], photos: Path
) -> None:
    nobody = f"127.0.0.1:{ports.choose('nobody', setting='PORT')}"
    trouble = [
        (("status", "nope"), {}, 2, "no job nope"),
        (("jobs", "--state", "done"), {}, 2, "none of queued"),
        (("status", "a"), {"KAFKA_BOOTSTRAP_SERVERS": nobody}, 3, nobody),
        (("submit", str(photos)), {"S3_ENDPOINT_URL": f"http://{nobody}"}, 3, "0 of 12 jobs"),
        (("stats",), {"JOBS_TOPIC": "absent"}, 3, "maskline topics create"),
        (("jobs",), {"VIEW_FILE": "/proc/view.db"}, 3, "VIEW_FILE"),
        (("cancel", "a", "--batch", "b"), {}, 2, "name jobs, or a batch"),
    ]
    ran = await asyncio.gather(
        *(maskline({**environment, **changes}, *command) for command, changes, _, _ in trouble)
    )
    for found, (_, _, code, words) in zip(ran, trouble, strict=True):
        assert (code, "") == (found.code, found.out), found.err
        assert words in " ".join(found.err.split())
        assert "Traceback" not in found.err
    assert [] == await jobs_of(tool_line)


async def test_reading_loads_no_model_and_no_s3(
    tool_line: ToolLine, environment: dict[str, str]
) -> None:
    """That takes longer than the whole answer."""
    await tool_line.job("a")
    code = (
        "import sys; sys.argv = ['maskline', 'status', 'a', '--format', 'jsonl']\n"
        "from producer_tools.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted(set(sys.modules) & {'onnxruntime', 'boto3', 'PIL',"
        " 'numpy', 'starlette'}))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=PIPE
    )
    out, _ = await process.communicate()
    answer, modules = out.decode().splitlines()
    assert ("a", "[]") == (json.loads(answer)["job"], modules)


async def test_watching_ends_with_the_job(tool_line: ToolLine, environment: dict[str, str]) -> None:
    offset = await tool_line.job("a")
    async with started(environment, "watch", "a", "--format", "jsonl") as process:
        assert process.stderr is not None
        assert b"a is queued" in await process.stderr.readline()
        await tool_line.event("processing", offset)
        await tool_line.event("completed", offset + 1, "b", replay_id="r")
        await tool_line.event("failed", offset)
        out, _ = await process.communicate()
        assert 1 == process.returncode
    assert ["processing", "failed"] == [json.loads(line)["state"] for line in out.splitlines()]


async def test_a_command_reads_while_another_process_folds(
    tool_line: ToolLine, environment: dict[str, str]
) -> None:
    await tool_line.job("a")
    async with Folder(tool_line.kafka, Path(environment["VIEW_FILE"])) as folder:
        following = asyncio.create_task(folder.follow())
        ran = await maskline(environment, "status", "a", "--format", "jsonl")
        following.cancel()
        await asyncio.wait([following])
    assert (0, "queued") == (ran.code, ran.lines()[0]["state"])
