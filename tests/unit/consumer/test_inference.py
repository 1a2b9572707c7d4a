"""A slot is free when its thread is done, however its job ended."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from consumer.job.inference import Inference
from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.model.engine import Engine, Tensor
from segmentation.segment import ImageLimits
from tests.support.models import write_trivial_body_model

SECONDS = 30.0


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a stuck thread waits for; set at the end, so that none is left behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def stuck(
    tmp_path: Path, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """A model that heeds no deadline."""
    write_trivial_body_model(tmp_path)
    catalog = Catalog.load(folder=tmp_path, body_model="trivial.onnx", providers=[], threads=1)
    model = catalog.model(None)
    run = model.run

    def wait_and_run(tensor: Tensor, deadline: Deadline) -> Tensor:
        release.wait(SECONDS)
        return run(tensor, deadline)

    monkeypatch.setattr(model, "run", wait_and_run)
    yield model
    release.set()
    catalog.close()


@pytest.fixture
async def inference() -> AsyncIterator[Inference]:
    """One worker, whose jobs are overdue at once."""
    limits = ImageLimits(max_bytes=10_000, max_pixels=10_000, formats=frozenset({"PNG"}))
    async with Inference(workers=1, deadline_seconds=0.05, limits=limits) as opened:
        yield opened


async def test_a_cancel_of_an_overdue_job_ends_it_and_leaves_the_slot_to_its_thread(
    inference: Inference, stuck: Engine, release: threading.Event
) -> None:
    """The job ends at once; the thread is still seen, and nobody else gets its slot."""
    photo = red_photo()

    async def job() -> None:
        async with inference.slot() as slot:
            await slot.segment(photo, model=stuck, outputs=None)

    running = asyncio.create_task(job())
    while not inference.stuck_seconds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=SECONDS)
    assert running.cancelled()
    assert inference.stuck_seconds() > 0
    waiting = asyncio.create_task(job())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    release.set()
    while inference.stuck_seconds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.wait_for(waiting, SECONDS)


def red_photo() -> bytes:
    """Make a photo."""
    picture = BytesIO()
    Image.new("RGB", (16, 16), "red").save(picture, "PNG")
    return picture.getvalue()
