"""The demo: photos through a real Kafka, S3, consumer and callback, all on this machine."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from consumer.kafka import topics
from consumer.settings import KafkaSettings
from producer_tools.cli.output import Format, print_message, stderr_console, write
from producer_tools.local import ports
from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.demo.contact_sheet import Tile, contact_sheet
from producer_tools.local.demo.jobs import DemoJobs
from producer_tools.local.demo.photos import find_photos
from producer_tools.local.errors import DiedAtStartError, LocalStackError, NoPhotosError
from producer_tools.local.stack import LocalStack
from schemas.job import ImageReference
from schemas.status import TERMINAL_STATES, StatusEvent, TimingsMs

SHEET = "contact-sheet.png"
LOG = "consumer.log"
MOST_ON_SHEET = 60
"""A sheet of more photos would be too large to look at."""

_STAGES = tuple(TimingsMs.model_fields)


@dataclass(frozen=True, slots=True)
class DemoPhoto:
    """One photo and what became of it.

    Attributes:
        job_id: Its job.
        photo: The file that was submitted.
        event: The latest event of its job; None if there was none.
        masks: Files by output.
    """

    job_id: str
    photo: Path
    event: StatusEvent | None
    masks: Mapping[str, Path]

    @property
    def state(self) -> str:
        """The job's state: without an event it is queued."""
        return self.event.state if self.event else "queued"

    @property
    def error(self) -> str | None:
        """Why the job failed, or what it waits for."""
        fault = self.event.error if self.event else None
        return f"{fault.code}: {fault.message}" if fault else None

    def row(self) -> dict[str, str | float | None]:
        """Its row: the job, its state, and the milliseconds of each stage."""
        timings = self.event.timings_ms if self.event else None
        times = timings.model_dump() if timings else dict.fromkeys(_STAGES)
        return {
            "job": self.job_id,
            "photo": str(self.photo),
            "state": self.state,
            "error": self.error,
            **times,
        }


def isolate_environment() -> None:
    """Take out of the environment what would come between this machine's own parts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile that isn't there, another endpoint
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), ports.HOST]))


def demo(photos: Sequence[Path], *, out: Path, timeout: float, output: Format) -> int:
    """DemoJobs the demo for people, and give the exit code."""
    try:
        found = find_photos(photos)
        shown = run_demo(found, out=out, timeout=timeout, console=stderr_console())
    except NoPhotosError as error:
        print_message(f"maskline demo: {error}")
        return 2
    except DiedAtStartError as error:
        print_message(f"maskline demo: {error}")
        return error.returncode if error.returncode in (2, 4) else 3
    except (LocalStackError, KafkaError, BotoCoreError, ClientError, OSError) as error:
        print_message(f"maskline demo: {error or repr(error)}")
        return 3
    except KeyboardInterrupt:
        print_message("Stopped.")
        return 130
    write(("job", "state", *_STAGES), [one.row() for one in shown], output)
    print_message(
        "Times in ms. `queued` is the wait before the job began, `total` is from there to its end."
    )
    for one in shown:
        if one.error:
            print_message(f"{one.photo}: {one.error}")
    _say_where(shown, out)
    if any(one.state not in TERMINAL_STATES for one in shown):
        log = (out / LOG).read_text(errors="replace").splitlines()
        print_message(
            "\n".join([f"Not all jobs ended within {timeout:g} s. The consumer's log:", *log[-20:]])
        )
        return 5
    return int(any(one.state != "completed" for one in shown))


def run_demo(
    photos: Sequence[Path], *, out: Path, timeout: float, console: Console
) -> list[DemoPhoto]:
    """Send the photos through the line; leave masks, contact sheet and the consumer's log in `out`.

    After `timeout` seconds it shows what there is, jobs that haven't ended included.

    Raises:
        LocalStackError: a part of the stack or the consumer can't be had, or ended.
        KafkaError, BotoCoreError, ClientError: Kafka or S3 broke down.
    """
    jobs = dict(zip(name_jobs(photos), photos, strict=True))
    out.mkdir(parents=True, exist_ok=True)
    (out / LOG).unlink(missing_ok=True)
    console.print("Starting Kafka, S3 and the mask-asset service …")
    with LocalStack(console=console) as stack:
        kafka = KafkaSettings.model_construct(kafka_bootstrap_servers=stack.kafka.bootstrap_servers)
        asyncio.run(topics.create(kafka))
        console.print("Starting the consumer …")
        with ConsumerProcess(stack.environment(), folder=out) as consumer:
            s3 = stack.s3.client()
            parts = (consumer, stack.kafka, stack.s3, stack.mask_assets)
            events = asyncio.run(DemoJobs(jobs, kafka, s3, parts).follow(timeout, console))
            masks = {job: _save_masks(event, s3, out) for job, event in events.items()}
    shown = [
        DemoPhoto(job, photo, events.get(job), masks.get(job, {})) for job, photo in jobs.items()
    ]
    contact_sheet([_entry(one) for one in shown[:MOST_ON_SHEET]], out / SHEET)
    return shown


def _say_where(shown: Sequence[DemoPhoto], out: Path) -> None:
    done = sum(one.state == "completed" for one in shown)
    print_message(f"{done} of {len(shown)} photos done. In {out}:")
    print_message(f"  {SHEET}  the photos with their masks drawn over them")
    print_message(f"  masks/             {sum(len(one.masks) for one in shown)} masks")
    print_message(f"  {LOG}       what the consumer said")
    if len(shown) > MOST_ON_SHEET:
        print_message(f"The contact sheet shows the first {MOST_ON_SHEET} photos.")


def name_jobs(photos: Sequence[Path]) -> list[str]:
    """Name a job after each photo, fit for a job_id and for a file, none twice."""
    names: dict[str, None] = {}
    for photo in photos:
        stem = re.sub(r"[^a-z0-9._]+", "-", photo.stem.lower()).strip("-.")[:100] or "photo"
        choice = chain([stem], (f"{stem}-{number}" for number in count(2)))
        names[next(name for name in choice if name not in names)] = None
    return list(names)


def _save_masks(event: StatusEvent, s3: Any, out: Path) -> dict[str, Path]:
    """Write the masks that the callback's receiver has stored into `out`, named after the job."""
    files: dict[str, Path] = {}
    for output, stored in (event.result.stored_keys if event.result else {}).items():
        at = ImageReference.parse(stored)
        files[output] = out / "masks" / f"{event.job_id}-{output}.png"
        files[output].parent.mkdir(exist_ok=True)
        s3.download_file(at.bucket, at.key, str(files[output]))
    return files


def _entry(shown: DemoPhoto) -> Tile:
    result = shown.event.result if shown.event else None
    return Tile(
        name=shown.photo.name,
        photo=shown.photo.read_bytes(),
        state=shown.state,
        masks={output: file.read_bytes() for output, file in shown.masks.items()},
        coverage=result.coverage if result else {},
        error=shown.error,
    )
