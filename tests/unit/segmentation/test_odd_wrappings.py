"""What stands around the pixels of a sound photo neither refuses it, nor turns it, nor costs."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, InvalidImage
from segmentation.photo.decode import decode
from segmentation.photo.limits import ImageLimits
from segmentation.segment import segment
from tests.support.hostile import photo
from tests.support.models import write_trivial_body_model
from tests.support.odd_wrappings import (
    XMP,
    Wrapped,
    chunk,
    converted,
    exif,
    jpeg_with,
    odd_wrappings,
    oriented,
    png_with,
    riff,
    webp_with,
)
from tests.support.odd_wrappings import (
    segment as jpeg_segment,
)
from tests.support.photos import Pixels, read, saved

ROOT = Path(__file__).parents[3]
LIMITS = ImageLimits(
    max_bytes=25 << 20, max_pixels=50_000_000, formats=frozenset({"JPEG", "PNG", "WEBP"})
)
SECONDS = 5.0
MOST_MEMORY = 150 << 20
"""Bytes above what the first photo takes."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder = tmp_path_factory.mktemp("models")
    write_trivial_body_model(folder)
    with closing(
        Catalog.load(
            folder=folder, body_model="trivial.onnx", providers=["CPUExecutionProvider"], threads=1
        )
    ) as catalog:
        yield catalog


def test_there_are_three_hundred() -> None:
    assert len(odd_wrappings()) >= 300


@pytest.mark.parametrize("wrapped", odd_wrappings(), ids=lambda wrapped: wrapped.name)
def test_a_sound_photo_has_the_plain_ones_masks(wrapped: Wrapped, catalog: Catalog) -> None:
    """Byte for byte, and pixel for pixel of what the model sees."""
    assert np.array_equal(pixels(wrapped.plain), pixels(wrapped.file))
    assert masks(wrapped.plain, catalog) == masks(wrapped.file, catalog)


@pytest.mark.parametrize("wrapped", [*converted()], ids=lambda wrapped: wrapped.name)
def test_a_photo_whose_pixels_are_converted_has_nearly_the_same_masks(
    wrapped: Wrapped, catalog: Catalog
) -> None:
    plain, other = masks(wrapped.plain, catalog), masks(wrapped.file, catalog)
    for name, mask in plain.items():
        one, two = read(mask) > 0, read(other[name]) > 0
        assert one.any()
        assert np.count_nonzero(one & two) >= 0.98 * np.count_nonzero(one | two)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "png-behind", "png-prefix", "webp", "long"])
def test_exif_turns_a_photo(kind: str, turn: int) -> None:
    """In each format, beside an XMP that says something else."""
    rgb = photo(160, 240)
    data = oriented(turn)
    jpeg, png = saved(rgb, "JPEG"), saved(rgb)
    file = {
        "jpeg": jpeg_with(
            jpeg,
            jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + XMP),
            jpeg_segment(0xE1, b"Exif\x00\x00" + data),
        ),
        "png": png_with(png, chunk("eXIf", data)),
        "png-behind": png_with(png, chunk("eXIf", data), behind=True),
        "png-prefix": png_with(png, chunk("eXIf", b"Exif\x00\x00" + data)),
        "webp": webp_with(saved(rgb, "WEBP", lossless=True), riff(b"EXIF", data)),
        "long": png_with(png, chunk("eXIf", exif(turn.to_bytes(4), kind=4))),
    }[kind]
    plain = Image.open(io.BytesIO(jpeg if kind == "jpeg" else png))
    assert np.array_equal(turned(np.asarray(plain), turn), pixels(file))


def test_all_of_them_take_little_memory() -> None:
    """Nothing that isn't needed is unpacked or kept."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.unit.segmentation.test_odd_wrappings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert int(ran.stdout) < MOST_MEMORY


@pytest.mark.parametrize("closed", [True, False])
def test_a_jpeg_of_many_scans_ends_at_its_deadline(closed: bool) -> None:
    """Each scan is a few bytes and passes over all pixels; also where it must be proven whole."""
    file = many_scans(4000, 4000, scans=5000, last=b"\xff\xd9" if closed else b"")
    assert len(file) < 200_000
    begin = time.monotonic()
    with pytest.raises((DeadlineExceeded, InvalidImage)):
        decode(file, limits=LIMITS, deadline=Deadline(1.0), sufficient_size=lambda *_: (64, 64))
    assert time.monotonic() - begin < SECONDS


def test_a_jpeg_of_some_scans_is_decoded() -> None:
    """As encoders write them: ten, and three of a picture that isn't interleaved."""
    for options in ({"progressive": True}, {"progressive": True, "restart_marker_rows": 1}):
        file = saved(photo(640, 480), "JPEG", **options)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(file)).convert("RGB")), pixels(file))


@pytest.mark.parametrize("behind", [b"", bytes(1000), b"\xff\xd9" * 3])
def test_a_cut_jpeg_with_something_behind_it_is_still_cut(behind: bytes) -> None:
    """The end that counts is the picture's."""
    jpeg = saved(photo(240, 320), "JPEG")
    with pytest.raises(InvalidImage):
        pixels(jpeg[: len(jpeg) // 2] + b"\xff\xd9" + behind)


def many_scans(width: int, height: int, *, scans: int, last: bytes) -> bytes:
    """A progressive JPEG, grey, whose scans each say that all blocks are as they were."""
    quantiser = jpeg_segment(0xDB, b"\x00" + bytes([1] * 64))
    frame = jpeg_segment(
        0xC2, b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x01\x01\x11\x00"
    )
    first_table = jpeg_segment(0xC4, b"\x00" + b"\x01" + bytes(15) + b"\x00")
    run_table = jpeg_segment(0xC4, b"\x10" + b"\x01" + bytes(15) + b"\xe0")
    blocks = -(-width // 8) * -(-height // 8)
    first = jpeg_segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + bytes(-(-blocks // 8))
    # An end-of-band run of 2**14 blocks and more is the code 0 and fourteen bits.
    runs = "".join("0" + "1" * 14 for _ in range(-(-blocks // 32767)))
    bits = runs + "1" * (-len(runs) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\x00")
    more = jpeg_segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + packed
    return b"".join(
        (b"\xff\xd8", quantiser, frame, first_table, run_table, first, more * scans, last)
    )


def turned(upright: Pixels, turn: int) -> Pixels:
    """What EXIF's orientation makes of pixels."""
    flipped = upright[:, ::-1] if turn in (2, 4, 5, 7) else upright
    return np.rot90(flipped, {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[turn])


def pixels(file: bytes) -> Pixels:
    """A file's picture, decoded within its deadline."""
    deadline = Deadline(SECONDS)
    decoded = decode(file, limits=LIMITS, deadline=deadline, sufficient_size=None)
    assert decoded.picture.size == (decoded.width, decoded.height)
    return np.asarray(decoded.picture)


def masks(file: bytes, catalog: Catalog) -> dict[str, bytes]:
    """A file's masks."""
    found = segment(
        file,
        model=catalog.model(None),
        outputs=None,
        limits=LIMITS,
        deadline=Deadline(SECONDS),
    )
    return dict(found.files)


def main() -> None:
    """Decode all of them, and print by how many bytes the process grew."""
    wrapped = odd_wrappings()
    for one in wrapped[:1]:
        pixels(one.file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for one in wrapped:
        pixels(one.file)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)


if __name__ == "__main__":
    main()
