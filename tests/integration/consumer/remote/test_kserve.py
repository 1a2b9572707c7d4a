"""Our own model in KServe's real server: the local masks, and an outage that loses nothing."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from producer_tools.local.demo.photos import demo_photos
from segmentation.catalog.catalog import PACKAGED, Catalog
from segmentation.deadline import Deadline
from segmentation.segment import segment
from tests.integration.consumer.remote.conftest import InferenceServer
from tests.support.bench import Bench
from tests.support.consumer_process import until
from tests.support.photos import LIMITS

pytestmark = pytest.mark.integration

SHARE = 0.001
"""Of the pixels of a mask that may differ."""


def test_the_server_gives_the_local_masks(
    inference_server: InferenceServer, tmp_path: Path
) -> None:
    """Of each photo and output, by JSON as KServe advertises and by bytes as it can."""
    for binary in (None, True):
        write_manifest(tmp_path, inference_server.url, binary=binary)
        worst = max(differences(tmp_path))
        assert worst <= SHARE, f"{worst:.4%} of the pixels differ, binary={binary}"


def test_check_shows_what_the_server_has(
    inference_server: InferenceServer, bare_bench: Bench
) -> None:
    """`models check` of the manifest runs it; `models list` shows its URL."""
    write_manifest(bare_bench.folder, inference_server.url, binary=True)
    manifest = bare_bench.folder / "remote.toml"
    checked = bare_bench.maskline("models", "check", str(manifest), "--format", "json")
    assert checked.returncode == 0, checked.stderr
    assert "kserve" in checked.stdout
    listed = bare_bench.maskline("models", "list", "--format", "json")
    assert inference_server.url in listed.stdout


async def test_an_outage_is_waited_for(inference_server: InferenceServer, bench: Bench) -> None:
    """Killed under a running line, then started again: every job completes, in order."""
    write_manifest(bench.folder, inference_server.url, binary=True)
    photo = bench.put_photo()
    await bench.submit("before", photo)
    consumer = bench.start(QWEN_MODEL_PATH="remote.toml")
    (before,) = await bench.terminal_events(1)
    inference_server.kill()
    for number in range(5):
        await bench.submit(f"during-{number}", photo)
    await consumer.until_holding(f"at http://127.0.0.1:{inference_server.port}")
    waiting = await bench.event(the(1, "retrying", "during-0"))
    inference_server.restart()
    events = await bench.terminal_events(6)
    await consumer.until_ready()
    await bench.event(the(2, "processing", "during-0"))  # it is published before it computes
    assert before["model"] == {"name": "remote", "sha256": None}
    error = waiting["error"]
    assert (error["code"], error["stage"], error["retryable"]) == (
        "internal_error",
        "segment",
        True,
    )
    assert [event["state"] for event in events] == ["completed"] * 6
    assert [event["source"]["offset"] for event in events] == list(range(6))
    await consumer.end()


async def test_a_frozen_server_is_an_outage_too(
    inference_server: InferenceServer, bench: Bench
) -> None:
    """Its port takes connections and answers nothing: no photo is too slow, and none is lost."""
    write_manifest(bench.folder, inference_server.url, binary=True)
    photo = bench.put_photo()
    await bench.submit("before", photo)
    consumer = bench.start(QWEN_MODEL_PATH="remote.toml", JOB_DEADLINE_SECONDS=10)
    await bench.terminal_events(1)
    inference_server.pause()
    try:
        for number in range(3):
            await bench.submit(f"during-{number}", photo)
        await consumer.until_holding("no answer in")
    finally:
        inference_server.resume()
    events = await bench.terminal_events(4)
    assert [event["state"] for event in events] == ["completed"] * 4
    await consumer.end()


async def test_a_start_without_the_server_waits_and_a_cancel_is_a_way_out(
    inference_server: InferenceServer, bench: Bench
) -> None:
    """The consumer doesn't end with 4; jobs of a local model go on beside the one that waits."""
    inference_server.kill()
    write_manifest(bench.folder, inference_server.url, binary=True)
    checked = bench.maskline("models", "check", str(bench.folder / "remote.toml"))
    assert checked.returncode == 3
    photo = bench.put_photo()
    await bench.submit("stuck", photo, model="remote")
    await bench.submit("stuck-too", photo, model="remote")
    await bench.submit("local-beside", photo, model="trivial")
    consumer = bench.start(WORKER_COUNT=1)
    await consumer.until_holding("model 'remote' at")
    await until(lambda: uploaded(bench, "local-beside"), "the local job is uploaded", seconds=60)
    for job in ("stuck", "stuck-too"):
        cancel = {"job_id": job, "before_offset": 3, "requested_at": "2026-11-22T10:00:00.000Z"}
        await bench.send(bench.line.control, job, cancel)
    events = await bench.terminal_events(3)
    assert [event["state"] for event in events] == ["cancelled", "cancelled", "completed"]
    await consumer.end()


def uploaded(bench: Bench, job_id: str) -> bool:
    """Whether the job's masks have come to the mask-asset service."""
    return any(upload["job_id"] == job_id for upload in bench.stack.mask_assets.uploads())


def the(count: int, state: str, job_id: str) -> Callable[[dict[str, Any]], bool]:
    """A predicate that is true of the job's event of that number and state alone."""
    seen: list[dict[str, Any]] = []

    def is_it(event: dict[str, Any]) -> bool:
        if (event["state"], event["job_id"]) != (state, job_id):
            return False
        seen.append(event)
        return len(seen) == count

    return is_it


def differences(folder: Path) -> Iterator[float]:
    """The share of pixels in which the remote masks differ from the local ones, each mask's."""
    catalog = Catalog.load(
        folder=folder, body_model=None, providers=["CPUExecutionProvider"], threads=1
    )
    for photo in photos():
        here, there = (masks(photo, catalog, name) for name in (None, "remote"))
        for name, mask in here.items():
            yield float(np.mean(mask != there[name]))
    catalog.close()


def masks(photo: bytes, catalog: Catalog, model: str | None) -> dict[str, np.ndarray]:
    """Every kind of mask that isn't made of the others."""
    outputs = ["upper_body_mask", "lower_body_mask", "seg_map"]
    done = segment(
        photo, model=catalog.model(model), outputs=outputs, limits=LIMITS, deadline=Deadline(120)
    )
    return {name: np.array(Image.open(BytesIO(file))) for name, file in done.files.items()}


def photos() -> Iterator[bytes]:
    """The demo's, and synthetic ones: noise, one colour, a wide and a tall gradient."""
    yield from (path.read_bytes() for path in demo_photos())
    draw = np.random.default_rng(4)
    noise = Image.fromarray(draw.integers(0, 256, (300, 200, 3), np.uint8))
    ramp = Image.linear_gradient("L").convert("RGB")
    for picture in (
        noise,
        noise.resize((600, 900)).filter(ImageFilter.GaussianBlur(20)),
        Image.new("RGB", (64, 96), "red"),
        ramp.resize((900, 200)),
        ramp.resize((200, 900)),
    ):
        file = BytesIO()
        picture.save(file, "PNG")
        yield file.getvalue()


def write_manifest(folder: Path, url: str, *, binary: bool | None) -> None:
    """Write `remote.toml`: the packaged manifest of `body-regions`, with a URL for its file."""
    flag = "" if binary is None else f"\nbinary = {str(binary).lower()}"
    text = (PACKAGED / "body-regions.toml").read_text()
    text = re.sub(r"(?m)^sha256 = .*\n", "", text)
    text = re.sub(r"(?m)^name = .*", 'name = "remote"', text, count=1)
    text = re.sub(r"(?m)^file = .*", f'url = "{url}"{flag}', text, count=1)
    (folder / "remote.toml").write_text(text)
