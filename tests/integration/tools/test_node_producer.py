"""The program in Node of docs/clients.md, as it stands there, on a line with a real consumer."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.tools.conftest import ToolLine
from tests.support.bench import Bench

PAGE = (Path(__file__).parents[3] / "docs/clients.md").read_text()
PACKAGES = Path(__file__).parent / "node"
SECONDS = 120

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("node") is None or shutil.which("npm") is None,
        reason="node and npm are not installed: the program in Node isn't tried",
    ),
]


@pytest.fixture
def program(tool_line: ToolLine, tmp_path: Path) -> Path:
    """The page's program with the names of the test's topics, and its packages beside it."""
    folder = tmp_path / "node"
    shutil.copytree(PACKAGES, folder)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    (source,) = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
    source = source.replace('"mask.jobs"', f'"{tool_line.kafka.jobs_topic}"')
    source = source.replace('"mask.status"', f'"{tool_line.kafka.status_topic}"')
    file = folder / "submit.mjs"
    file.write_text(source)
    return file


async def run(program: Path, photo: str) -> tuple[int | None, list[str]]:
    """Run the program; return its exit code, and the words that it wrote."""
    process = await asyncio.create_subprocess_exec(
        "node",
        program.name,
        photo,
        cwd=program.parent,
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode().split()


async def test_a_producer_in_node_submits_and_reads_how_its_job_ended(
    bench: Bench, program: Path
) -> None:
    """One photo is there and one isn't; other jobs' events don't confuse it."""
    bench.start()
    photo = bench.put_photo(f"{bench.line.group}.png")
    await bench.submit("another", photo)
    await bench.terminal_events(1)
    done = await run(program, photo)
    assert (0, "completed") == (done[0], done[1][1]), done
    missing = await run(program, "s3://mask-uploads/absent.jpg")
    assert (1, "failed") == (missing[0], missing[1][1]), missing
    assert '"code":"image_not_found"' in " ".join(missing[1])
    events = await bench.terminal_events(3)
    assert ["completed", "completed", "failed"] == [event["state"] for event in events]
    assert [done[1][0], missing[1][0]] == [event["job_id"] for event in events[1:]]
