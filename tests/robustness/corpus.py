"""What becomes of a folder of pictures: `python -m tests.robustness.corpus FOLDER`.

Every file goes through the whole of `segment` with the trivial model, under the default
limits and a deadline. Printed are the numbers of files, of masks, of each error code and of crashes
(anything but masks or an error code), the longest time, and the process's peak memory. `--every`
allows every format that Pillow reads; `--list` prints what became of each file.
"""

import argparse
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from PIL import Image

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import SegmentationError
from segmentation.segment import ImageLimits, segment
from tests.support.models import write_trivial_body_model
from tests.support.photos import LIMITS

SECONDS = 60.0
OUTPUTS = ("upper_body_mask", "lower_body_mask", "seg_map", "alpha_mask", "cutout")


@dataclass
class Outcomes:
    """What became of all the files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: dict[str, str] = field(default_factory=dict)
    longest: float = 0.0
    slowest: str = ""

    def add(self, name: str, outcome: str, seconds: float) -> None:
        """Count one file."""
        self.outcomes[outcome] += 1
        if seconds > self.longest:
            self.longest, self.slowest = seconds, name


def outcomes(
    files: Iterable[tuple[str, bytes]], catalog: Catalog, limits: ImageLimits
) -> Iterator[tuple[str, str, float]]:
    """Each file's name, what became of it ("masks", a code, or "crash: …"), and the seconds."""
    for name, file in files:
        began = perf_counter()
        try:
            segment(
                file,
                model=catalog.model(None),
                outputs=OUTPUTS,
                limits=limits,
                deadline=Deadline(SECONDS),
            )
            outcome = "masks"
        except SegmentationError as error:
            outcome = error.code
        except Exception as error:  # a crash is what is looked for
            outcome = f"crash: {type(error).__name__}: {error}"
        yield name, outcome, perf_counter() - began


def trivial_catalog() -> Catalog:
    """The catalog with the trivial model as its default."""
    with tempfile.TemporaryDirectory() as folder:
        write_trivial_body_model(Path(folder))
        return Catalog.load(
            folder=Path(folder),
            body_model="trivial.onnx",
            providers=["CPUExecutionProvider"],
            threads=1,
        )


def main() -> int:
    """Run over a folder; 1 when anything crashed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", action="store_true", help="allow every format of Pillow's")
    parser.add_argument("--list", action="store_true", help="print what became of each file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's remarks on odd files; every file here is odd
    limits = LIMITS
    if given.every:
        Image.init()
        limits = ImageLimits(LIMITS.max_bytes, LIMITS.max_pixels, frozenset(Image.OPEN))
    files = sorted(path for path in given.folder.rglob("*") if path.is_file())
    contents = ((str(path), path.read_bytes()) for path in files)
    return run(contents, trivial_catalog(), limits, listed=given.list)


def run(
    files: Iterable[tuple[str, bytes]], catalog: Catalog, limits: ImageLimits, *, listed: bool
) -> int:
    """Take every file through `segment` and print the tally; 1 when anything crashed."""
    tally = Outcomes()
    before = peak_memory()
    for name, outcome, seconds in outcomes(files, catalog, limits):
        tally.add(name, outcome.partition(":")[0], seconds)
        if outcome.startswith("crash"):
            tally.crashes[name] = outcome
        if listed:
            sys.stdout.write(f"{outcome:20} {name}\n")
    report(tally, before)
    return 1 if tally.crashes else 0


def report(tally: Outcomes, before: float) -> None:
    """Print the tally."""
    lines = [f"{'files':20} {tally.outcomes.total():6}"]
    lines += [f"{outcome:20} {count:6}" for outcome, count in tally.outcomes.most_common()]
    lines += [f"{'crashes':20} {len(tally.crashes):6}"]
    lines += [f"  {name}: {crash}" for name, crash in tally.crashes.items()]
    lines += [
        f"{'longest':20} {tally.longest:6.2f} s  {Path(tally.slowest).name}",
        f"{'peak memory':20} {peak_memory():6.0f} MiB (before the first file {before:.0f})",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def peak_memory() -> float:
    """The process's greatest resident memory so far, in MiB.

    From the kernel's `VmHWM`: `getrusage` would count what the parent had before it forked us.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(kilobytes[1]) / 1024 if kilobytes else 0.0


if __name__ == "__main__":
    sys.exit(main())
