"""Receivers that don't keep to HTTP's manners, and bodies of 30 MB sent to them."""

import asyncio
import io
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from tests.laboratory.evidence import Foreseen
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.moments import in_the_midst
from tests.laboratory.odd_receiver import TOO_LARGE, Oddity, odd_receiver
from tests.laboratory.schedule import Fault
from tests.laboratory.workload import Planned, image_job, plan

RECORDS = 40
LARGE = 2
"""Jobs with bodies of more than 30 MB, and as many that are refused before they are read."""
SIDE = 3200
ALL_SECONDS = 300.0
LARGE_PHOTO = "large.jpg"
PATIENCE = {"CALLBACK_TIMEOUT_SECONDS": "5", "JOB_DEADLINE_SECONDS": "300"}
"""Large masks take seconds of a machine that does other things, too."""


async def receiver_unread(laboratory: Laboratory, fault: Fault) -> None:
    """Let the receiver not read each twelfth request: tries end in time, and are repeated."""
    await _received_oddly(laboratory, fault, "unread")


async def receiver_twice(laboratory: Laboratory, fault: Fault) -> None:
    """Let the receiver add a refusal to each twelfth answer: no other job is given it."""
    await _received_oddly(laboratory, fault, "twice")


async def receiver_early(laboratory: Laboratory, fault: Fault) -> None:
    """Let the receiver answer 503, or 413 for some jobs, before it reads the body, and close."""
    await _received_oddly(laboratory, fault, "early")


async def _received_oddly(laboratory: Laboratory, fault: Fault, oddity: Oddity) -> None:
    """Put an owner in place whose posts go through the odd receiver, for some large jobs."""
    await laboratory.put(LARGE_PHOTO, await asyncio.to_thread(_large_photo))
    owner = await in_the_midst(laboratory, fault)
    await laboratory.end(owner)
    service = laboratory.stack.mask_assets.client_environment()["MASK_ASSET_URL"]
    with odd_receiver(service, oddity) as receiver:
        url = receiver.origin + urlsplit(service).path
        owner = laboratory.start(MASK_ASSET_URL=url, **PATIENCE)
        records = plan(fault.at, records=RECORDS, poisoned=0)
        at = fault.lines % (RECORDS // 2)
        mixed = [*records[:at], *_large_jobs(laboratory), *records[at:]]
        await laboratory.submit(mixed)
        left = laboratory.records - laboratory.watch.settled
        await laboratory.moves_on(left, seconds=ALL_SECONDS)
        await laboratory.end(owner)
    laboratory.start()
    await laboratory.moves_on()


def _large_jobs(laboratory: Laboratory) -> list[Planned]:
    stored, refused = Foreseen("completed"), Foreseen("failed", "callback_rejected")
    ids = [(laboratory.fresh_id("large"), stored) for _ in range(LARGE)]
    ids += [(laboratory.fresh_id(f"{TOO_LARGE}job"), refused) for _ in range(LARGE)]
    return [image_job(job_id, how, image=LARGE_PHOTO, outputs=["cutout"]) for job_id, how in ids]


def _large_photo() -> bytes:
    """A reddish photo of noise: its cutout has 34 MB."""
    pixels = np.random.default_rng(0).integers(0, 110, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[..., 0] += 140
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85, subsampling=0)
    return file.getvalue()
