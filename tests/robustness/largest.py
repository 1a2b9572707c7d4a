"""Memory of the largest photos that are allowed: `python -m tests.robustness.largest`.

Each kind of file, 49 megapixels, goes through `segment` in a process of its own, without and with a
cutout. Printed is what that added to the process's peak memory, in MiB and in bytes a pixel.
"""

import subprocess
import sys

import numpy as np
from PIL import Image

from segmentation.deadline import Deadline
from segmentation.segment import segment
from tests.robustness.corpus import peak_memory, trivial_catalog
from tests.support.photos import LIMITS, saved

SIDE = 7000
KINDS = (
    "RGB JPEG",
    "CMYK JPEG",
    "RGB PNG",
    "RGBA PNG",
    "P PNG",
    "I;16 PNG",
    "RGB WEBP",
    "RGBA WEBP",
)
OUTPUTS = {"masks": ["upper_body_mask", "lower_body_mask"], "cutout": ["cutout"]}


def large(mode: str, kind: str) -> bytes:
    """A file of this mode and format."""
    grey = Image.linear_gradient("L").resize((SIDE, SIDE))
    if mode == "I;16":
        return saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), kind)
    if mode == "RGBA":
        return saved(Image.merge(mode, [grey] * 4), kind)
    return saved(grey.convert(mode), kind)


def added(outputs: str, file: bytes) -> float:
    """What segmenting the file adds to the peak memory, in MiB."""
    model = trivial_catalog().model(None)
    before = peak_memory()
    segment(file, model=model, outputs=OUTPUTS[outputs], limits=LIMITS, deadline=Deadline(600))
    return peak_memory() - before


def main() -> None:
    """Print the table; with two arguments, be one of its processes."""
    if len(sys.argv) == 2:
        sys.stdout.write(f"{added(sys.argv[1], sys.stdin.buffer.read())}")
        return
    for kind in KINDS:
        mode, format_ = kind.split()
        file = large(mode, format_)
        for outputs in OUTPUTS:
            run = subprocess.run(
                [sys.executable, "-m", "tests.robustness.largest", outputs],
                input=file,
                capture_output=True,
                check=True,
            )
            mebibytes = float(run.stdout)
            each = mebibytes * 2**20 / SIDE**2
            sys.stdout.write(
                f"{kind:10} {outputs:7} {mebibytes:5.0f} MiB {each:5.1f} bytes a pixel\n"
            )


if __name__ == "__main__":
    main()
