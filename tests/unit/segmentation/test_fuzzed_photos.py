"""Good files, mutated: whatever comes of it is masks or one error code, and soon."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import SegmentationError
from segmentation.segment import ImageLimits, segment
from tests.support.hostile import photo, whole
from tests.support.photos import read, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SMALL = photo(48, 64)
SEEDS = [
    *whole().values(),
    saved(SMALL, "JPEG"),
    saved(SMALL.convert("CMYK"), "JPEG"),
    saved(SMALL.convert("L"), "JPEG"),
    saved(SMALL),
    saved(SMALL.quantize(16), transparency=bytes(range(16))),
    saved(SMALL.convert("1")),
    saved(SMALL.convert("RGBA"), "WEBP"),
    saved(SMALL, "WEBP", save_all=True, append_images=[SMALL.rotate(90)]),
]

# More in a long run: MASKLINE_FUZZ=100000 pytest tests/unit/segmentation/test_fuzzed_photos.py
EXAMPLES = int(os.environ.get("MASKLINE_FUZZ", "400"))
NUMBERS = [b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x00\x01\x00\x00"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good file after some of: bytes changed, a part cut out, doubled, or taken from another."""
    file = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(file) - 1)))
        length = draw(st.integers(0, 64))
        match draw(st.sampled_from(["change", "cut", "double", "graft", "number"])):
            case "change":
                file[at : at + length] = draw(st.binary(min_size=1, max_size=64))
            case "cut":
                del file[at : at + length]
            case "double":
                file[at:at] = file[at : at + length]
            case "graft":
                other = draw(st.sampled_from(SEEDS))
                begin = draw(st.integers(0, len(other) - 1))
                file[at : at + length] = other[begin : begin + length]
            case "number":
                file[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
                )
    return bytes(file)


@settings(
    max_examples=EXAMPLES,
    deadline=10_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(file=mutated())
def test_a_mutated_file_ends_in_masks_or_a_code(
    file: bytes, catalog: Catalog, limits: ImageLimits
) -> None:
    """Masks of the photo's own size, or an error that is the photo's."""
    outcome = "masks"
    try:
        result = segment(
            file,
            model=catalog.model(None),
            outputs=["upper_body_mask"],
            limits=limits,
            deadline=Deadline(10),
        )
        assert read(result.files["upper_body_mask"]).shape == (result.height, result.width)
    except SegmentationError as error:
        outcome = error.code
    assert outcome in {"masks", "invalid_image", "image_too_large", "unsupported_format"}
