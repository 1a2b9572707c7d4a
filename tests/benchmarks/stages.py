"""The stages of one photo, beside what we aim at."""

from statistics import median

from consumer.settings import ImageSettings
from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.segment import segment
from tests.benchmarks.one_process import image_limits
from tests.benchmarks.photos import square_jpeg
from tests.benchmarks.tables import show

SIDE = 2048
THREADS = 2
AIMS = {"preprocess": 25.0, "segment": 150.0, "masks": 50.0}
_WORDS = {
    "preprocess": "preprocess: decode, resize, normalise",
    "segment": "network",
    "masks": "both masks and their PNGs",
}


def measure(catalog: Catalog, images: ImageSettings, *, photos: int = 30) -> dict[str, float]:
    """Print the table; give the medians in milliseconds."""
    model, limits, photo = catalog.model(None), image_limits(images), square_jpeg(SIDE)
    runs = [
        segment(photo, model=model, outputs=None, limits=limits, deadline=Deadline(600)).timings_ms
        for _ in range(photos)
    ]
    found = {stage: median(run[stage] for run in runs) for stage in AIMS}
    show(
        f"Stages of a {SIDE} x {SIDE} JPEG, milliseconds, medians of {photos} runs,"
        f" {THREADS} threads",
        ["", "here", "aim"],
        [[words, f"{found[stage]:.1f}", f"{AIMS[stage]:.0f}"] for stage, words in _WORDS.items()],
    )
    return found
