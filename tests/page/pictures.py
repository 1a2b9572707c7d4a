"""Pictures for the stand-in gateway: the demo's photos with their true masks, made once."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageOps

from producer_tools.contact_sheet import masked
from producer_tools.local.demo.photos import demo_photos
from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.photo.limits import ImageLimits
from segmentation.segment import segment

_OUTPUTS = ("upper_body_mask", "lower_body_mask", "cutout")
_SIDE = 512


@dataclass(frozen=True)
class Pictures:
    """What the gateway has of one photo."""

    name: str
    width: int
    height: int
    photo: bytes
    """The photo alone, as a small JPEG."""
    masks: bytes
    """The photo with its masks, as a small JPEG."""
    outputs: Mapping[str, bytes]
    """PNG files by output."""
    coverage: Mapping[str, float]


@cache
def demo_pictures() -> tuple[Pictures, ...]:
    """Return the demo's photos with their masks, each also mirrored and cut."""
    catalog = Catalog.load(
        folder=None, body_model=None, providers=["CPUExecutionProvider"], threads=2
    )
    photos = [(file.stem, Image.open(file).convert("RGB")) for file in demo_photos()]
    variants = [
        (f"{name}{suffix}.jpg", variant)
        for name, photo in photos
        for suffix, variant in (("", photo), ("-mirrored", ImageOps.mirror(photo)), *_cut(photo))
    ]
    return tuple(_pictures(catalog, name, photo) for name, photo in variants)


def _cut(photo: Image.Image) -> tuple[tuple[str, Image.Image], ...]:
    width, height = photo.size
    box = (width // 8, 0, width * 7 // 8, height)
    return (("-narrow", photo.crop(box)),)


def _pictures(catalog: Catalog, name: str, photo: Image.Image) -> Pictures:
    made = segment(
        _jpeg(photo),
        model=catalog.model(None),
        outputs=_OUTPUTS,
        limits=ImageLimits(2**26, 2**26, frozenset({"JPEG"})),
        deadline=Deadline(60),
    )
    small = ImageOps.contain(photo, (_SIDE, _SIDE))
    masks = {output: made.files[output] for output in _OUTPUTS[:2]}
    return Pictures(
        name=name,
        width=made.width,
        height=made.height,
        photo=_jpeg(small),
        masks=_jpeg(masked(small, masks)),
        outputs=made.files,
        coverage=made.coverage,
    )


def plain_pictures() -> Pictures:
    """Return pictures that cost nothing to make."""
    photo = Image.new("RGB", (384, 512), (120, 130, 140))
    jpeg, png = _jpeg(photo), io.BytesIO()
    photo.convert("L").save(png, format="PNG")
    outputs = dict.fromkeys(_OUTPUTS, png.getvalue())
    coverage = {"upper_body_mask": 0.2, "lower_body_mask": 0.1}
    return Pictures("plain.jpg", 384, 512, jpeg, jpeg, outputs, coverage)


def _jpeg(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, format="JPEG", quality=88)
    return file.getvalue()
