"""Whatever the bytes are, they end in masks or in one clear error code."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InvalidImage,
    SegmentationError,
    UnsupportedFormat,
)
from segmentation.segment import ImageLimits, segment
from tests.support.hostile import MASKS, Hostile, hostile_files, whole
from tests.support.photos import read, saved

CORPUS = list(hostile_files())

# What Pillow remarks on odd files is a warning in the service, where the file still gives masks.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_a_hostile_file_ends_as_it_must(
    hostile: Hostile, catalog: Catalog, limits: ImageLimits
) -> None:
    """In masks of the upright size, or in its code; never late."""
    try:
        result = segment(
            hostile.file,
            model=catalog.model(None),
            outputs=None,
            limits=limits,
            deadline=Deadline(10),
        )
        assert read(result.files["upper_body_mask"]).shape == (result.height, result.width)
        outcome = MASKS
    except SegmentationError as error:
        outcome = error.code
    assert outcome in hostile.expected


def test_the_corpus_run_crashes_nowhere_and_stays_small(tmp_path: Path) -> None:
    """The command over the same corpus: its counts add up, and 512 MiB are enough for all of it."""
    for hostile in CORPUS:
        (tmp_path / hostile.name).write_bytes(hostile.file)
    run = subprocess.run(
        [sys.executable, "-m", "tests.robustness.corpus", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    counts = Counter(
        {name: int(n) for name, n in re.findall(r"^(\S+) +(\d+)$", run.stdout, re.MULTILINE)}
    )
    assert counts["files"] == len(CORPUS)
    assert counts["crashes"] == 0
    assert sum(counts.values()) == 2 * len(CORPUS)
    peak = re.search(r"^peak memory +(\d+) MiB", run.stdout, re.MULTILINE)
    assert peak is not None
    assert int(peak[1]) < 512


def decoded(photo: bytes, catalog: Catalog, limits: ImageLimits) -> None:
    segment(photo, model=catalog.model(None), outputs=None, limits=limits, deadline=Deadline(10))


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (b"", "empty"),
        (whole()["png"][:-2000], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "header"),
    ],
)
def test_a_broken_file_is_named_as_such(
    photo: bytes, words: str, catalog: Catalog, limits: ImageLimits
) -> None:
    """The message is for the customer who sent it."""
    with pytest.raises(InvalidImage, match=words):
        decoded(photo, catalog, limits)


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b'{"error": 1}', "JSON"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x00\x00\x00\x18ftypmp42", "a video"),
        (b"GIF89a" + bytes(100), "a GIF picture"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), "a HEIC picture"),
        (b"hello", "nothing that is known"),
    ],
)
def test_the_error_of_a_foreign_file_names_its_format_and_those_allowed(
    photo: bytes, words: str, catalog: Catalog, limits: ImageLimits
) -> None:
    """By its content, whatever it was named."""
    with pytest.raises(UnsupportedFormat, match=f"{words}.*JPEG, PNG, WEBP"):
        decoded(photo, catalog, limits)


def test_limits_are_checked_before_anything_is_decoded(catalog: Catalog) -> None:
    """One byte and one pixel too many, with the numbers in the message."""
    photo = whole()["jpeg"]
    formats = frozenset({"JPEG"})
    with pytest.raises(ImageTooLarge, match=f"{len(photo):,} bytes"):
        decoded(photo, catalog, ImageLimits(len(photo) - 1, 10**6, formats))
    with pytest.raises(ImageTooLarge, match="240 x 320 pixels"):
        decoded(photo, catalog, ImageLimits(len(photo), 240 * 320 - 1, formats))
    decoded(photo, catalog, ImageLimits(len(photo), 240 * 320, formats))


def test_decoding_ends_at_the_deadline(catalog: Catalog, limits: ImageLimits) -> None:
    """The decoder gets no more bytes once the time is over."""
    deadline = Deadline(0.0)
    with pytest.raises(DeadlineExceeded):
        segment(
            whole()["jpeg"],
            model=catalog.model(None),
            outputs=None,
            limits=limits,
            deadline=deadline,
        )


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "webp-lossless", "progressive"])
def test_a_cut_file_is_refused_wherever_it_is_cut(
    kind: str, catalog: Catalog, limits: ImageLimits
) -> None:
    """At a hundred places; the last bytes of all may be missing where they hold no pixels."""
    photo = whole()[kind]
    for hundredth in range(1, 100):
        with pytest.raises((InvalidImage, UnsupportedFormat)):
            decoded(photo[: len(photo) * hundredth // 100], catalog, limits)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_photo_isnt_taken_for_a_cut_one(
    kind: str, grey: int, catalog: Catalog, limits: ImageLimits
) -> None:
    """What decoders fill missing data with may be a photo's own colour."""
    decoded(saved(Image.new("RGB", (100, 80), (grey,) * 3), kind), catalog, limits)
    decoded(saved(Image.new("L", (101, 83), grey), kind), catalog, limits)
