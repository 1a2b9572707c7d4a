"""The recipes of docs/clients.md, run as they stand there."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.settings import KafkaSettings
from producer_tools.local.stack import UPLOAD_BUCKET
from schemas.control import Cancel
from schemas.job import Job
from tests.integration.tools.conftest import ToolLine
from tests.integration.tools.test_commands import end_jobs

PAGE = (Path(__file__).parents[3] / "docs/clients.md").read_text()
RECIPES = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)

needs_kcat = pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
pytestmark = pytest.mark.integration


def run(recipe: str, kafka: KafkaSettings) -> str:
    """Run a recipe on the test's line, and return what it wrote."""
    names = {
        "mask.jobs.dlq": kafka.dead_letter_topic,
        "mask.jobs": kafka.jobs_topic,
        "mask.status": kafka.status_topic,
        "mask.control": kafka.control_topic,
        "my-program": f"{kafka.consumer_group}-program",
    }
    for name, ours in names.items():
        recipe = re.sub(rf"{re.escape(name)}(?![.\w])", ours, recipe)
    ran = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", recipe],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


@needs_kcat
async def test_kcat_submits_follows_and_cancels(tool_line: ToolLine) -> None:
    submit, events, group, cancel, dead_letters = RECIPES
    kafka = tool_line.kafka
    await asyncio.to_thread(run, submit, kafka)
    (record,) = await tool_line.records(kafka.jobs_topic)
    assert ("front-1", b"front-1") == (Job.read(record.value).job_id, record.key)
    await tool_line.event("completed", record.offset, "front-1")
    assert "0 front-1 {" in await asyncio.to_thread(run, events, kafka)
    assert '"completed"' in await asyncio.to_thread(run, group, kafka)
    assert "" == await asyncio.to_thread(run, group, kafka)
    await asyncio.to_thread(run, cancel, kafka)
    (written,) = await tool_line.records(kafka.control_topic)
    cancelled = Cancel.read(written.value)
    assert ("front-1", 1) == (cancelled.job_id, cancelled.before_offset)
    await tool_line.write(
        kafka.dead_letter_topic, b"", key=b"a", headers=[("mask-error-code", b"invalid_image")]
    )
    assert "mask-error-code=invalid_image" in await asyncio.to_thread(run, dead_letters, kafka)


async def test_the_python_recipe_submits_a_folder(tool_line: ToolLine, tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "photos").mkdir()
    for name in ("b", "a"):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(name.encode())
    ending = asyncio.create_task(end_jobs(tool_line, ["completed", "failed"]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    await ending
    assert ["completed", "failed"] == [line.split()[1] for line in out.decode().splitlines()]
    first = Job.read((await tool_line.records(tool_line.kafka.jobs_topic))[0].value)
    stored = tool_line.stack.s3.client().get_object(
        Bucket=UPLOAD_BUCKET, Key=first.image_reference.key
    )
    assert b"a" == stored["Body"].read()
