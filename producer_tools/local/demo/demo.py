"""Runs the demo: starts the local stack and a consumer, submits photos, and saves their masks."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from consumer.kafka import topics
from consumer.settings import KafkaSettings, S3Settings, load
from producer_tools.cli.output import Format, print_message, stderr_console, write_rows
from producer_tools.contact_sheet import Tile, contact_sheet
from producer_tools.errors import ToolError
from producer_tools.local import ports
from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.demo.jobs import DemoJobs
from producer_tools.local.demo.photos import find_photos
from producer_tools.local.demo.serving import serve_gateway
from producer_tools.local.errors import DiedAtStartError, LocalStackError, NoPhotosError
from producer_tools.local.stack import LocalStack
from schemas.job import ImageReference
from schemas.status import TERMINAL_STATES, StatusEvent, TimingsMs

SHEET = "contact-sheet.png"
LOG = "consumer.log"
ON_A_PAGE = 60
"""Most photos on one page of the contact sheet. One with more would be too large to look at."""
MAX_PAGES = 10
"""Most pages of the contact sheet."""

_STAGES = tuple(TimingsMs.model_fields)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One photo, the state of its job, and its masks."""

    job_id: str
    """The photo's job."""
    photo: Path
    """The file that was submitted."""
    event: StatusEvent | None
    """The latest status event of the job. None: there was no event."""
    masks: Mapping[str, Path]
    """The files of the masks by output."""

    @property
    def state(self) -> str:
        """The job's state. Without an event it is `queued`."""
        return self.event.state if self.event else "queued"

    @property
    def error(self) -> str | None:
        """Why the job failed, or what it waits for."""
        error = self.event.error if self.event else None
        return f"{error.code}: {error.message}" if error else None

    def row(self) -> dict[str, str | float | None]:
        """Return its row of the table: the job, its state, and the milliseconds of each stage."""
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
    """Remove variables from our environment that would disturb the local stack."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # such as a profile that doesn't exist, or another endpoint
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), ports.HOST]))


def demo(
    photos: Sequence[Path], *, out: Path, timeout: float, output: Format, serve: bool = False
) -> int:
    """Run the demo, print its results, and return the exit code.

    With `serve` the stack, the consumer and a gateway then go on until SIGINT or SIGTERM.
    """
    try:
        found = find_photos(photos)
        with demo_running(found, out=out, timeout=timeout, console=stderr_console()) as (
            results,
            stack,
        ):
            code = _show(results, out=out, timeout=timeout, output=output)
            if serve:
                serve_gateway(stack, folder=out)
            return code
    except NoPhotosError as error:
        print_message(f"maskline demo: {error}")
        return 2
    except DiedAtStartError as error:
        print_message(f"maskline demo: {error}")
        return error.returncode if error.returncode in (2, 4) else 3
    except (LocalStackError, ToolError, BotoCoreError, ClientError, OSError) as error:
        print_message(f"maskline demo: {error or repr(error)}")
        return 3
    except KeyboardInterrupt:
        print_message("Stopped.")
        return 130


def _show(results: Sequence[DemoResult], *, out: Path, timeout: float, output: Format) -> int:
    """Print the results, and return the exit code."""
    write_rows(("job", "state", *_STAGES), [result.row() for result in results], output)
    print_message(
        "Times in ms. `queued` is the time before the job started, `total` the time from then on."
    )
    for result in results:
        if result.error:
            print_message(f"{result.photo}: {result.error}")
    _print_results(results, out)
    if any(result.state not in TERMINAL_STATES for result in results):
        log = (out / LOG).read_text(errors="replace").splitlines()
        print_message(
            "\n".join([f"Not all jobs ended within {timeout:g} s. The consumer's log:", *log[-20:]])
        )
        return 5
    return int(any(result.state != "completed" for result in results))


@contextmanager
def demo_running(
    photos: Sequence[Path], *, out: Path, timeout: float, console: Console
) -> Iterator[tuple[list[DemoResult], LocalStack]]:
    """Process the photos. Write masks, contact sheet and the consumer's log to the folder `out`.

    After `timeout` seconds it gives the results so far, including jobs that haven't ended. The
    stack and the consumer run on while the block lasts.

    Raises:
        LocalStackError: The stack or the consumer can't start, or has ended.
        ToolError, BotoCoreError, ClientError: Kafka or S3 failed.
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
            os.environ.update(stack.s3.client_environment())  # S3's keys come from there
            s3 = stack.s3.client()
            servers = (consumer, stack.kafka, stack.s3, stack.mask_assets)
            events = asyncio.run(
                DemoJobs(jobs, kafka, load(S3Settings), servers).submit_and_follow(timeout, console)
            )
            masks = {job: _save_masks(event, s3, out) for job, event in events.items()}
            results = [
                DemoResult(job, photo, events.get(job), masks.get(job, {}))
                for job, photo in jobs.items()
            ]
            draw_pages(results, out)
            yield results, stack


def _print_results(results: Sequence[DemoResult], out: Path) -> None:
    done = sum(result.state == "completed" for result in results)
    print_message(f"{done} of {len(results)} photos done. In {out}:")
    print_message(f"  {SHEET}  the photos with their masks drawn over them")
    print_message(f"  masks/             {sum(len(result.masks) for result in results)} masks")
    print_message(f"  {LOG}       the consumer's log")
    if len(results) > ON_A_PAGE:
        shown = min(len(results), MAX_PAGES * ON_A_PAGE)
        last = page_name(-(-shown // ON_A_PAGE))
        print_message(f"The contact sheet goes on to {last}, with {shown} photos in all.")


def page_name(number: int) -> str:
    """Return the file name of a page of the contact sheet, counted from 1."""
    return SHEET if number == 1 else f"{Path(SHEET).stem}-{number}.png"


def draw_pages(results: Sequence[DemoResult], out: Path) -> None:
    """Write the contact sheet to `out`, `ON_A_PAGE` photos a page, at most `MAX_PAGES` pages.

    Only the photos and masks of one page are in memory at a time. Pages of an earlier demo go.
    """
    for number in range(1, MAX_PAGES + 1):
        file, first = out / page_name(number), (number - 1) * ON_A_PAGE
        if number > 1 and first >= len(results):
            file.unlink(missing_ok=True)
            continue
        contact_sheet([_tile(result) for result in results[first : first + ON_A_PAGE]], file)


def name_jobs(photos: Sequence[Path]) -> list[str]:
    """Return a unique name for the job of each photo. It fits a job_id and a file name."""
    names: dict[str, None] = {}
    for photo in photos:
        stem = re.sub(r"[^a-z0-9._]+", "-", photo.stem.lower()).strip("-.")[:100] or "photo"
        choice = chain([stem], (f"{stem}-{number}" for number in count(2)))
        names[next(name for name in choice if name not in names)] = None
    return list(names)


def _save_masks(event: StatusEvent, s3: Any, out: Path) -> dict[str, Path]:
    """Copy the masks from the mask-asset service's bucket to `out`. Their names contain the job."""
    files: dict[str, Path] = {}
    for output, stored in (event.result.stored_keys if event.result else {}).items():
        reference = ImageReference.parse(stored)
        files[output] = out / "masks" / f"{event.job_id}-{output}.png"
        files[output].parent.mkdir(exist_ok=True)
        s3.download_file(reference.bucket, reference.key, str(files[output]))
    return files


def _tile(result: DemoResult) -> Tile:
    completed = result.event.result if result.event else None
    return Tile(
        name=result.photo.name,
        photo=result.photo.read_bytes(),
        state=result.state,
        masks={output: file.read_bytes() for output, file in result.masks.items()},
        coverage=completed.coverage if completed else {},
        error=result.error,
    )
