"""Masks as PNG."""

from __future__ import annotations

import io

from PIL import Image

from segmentation.regions import Plane


def encode_mask(mask: Plane) -> bytes:
    """STUB."""
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG", compress_level=1)
    return out.getvalue()


def encode_cutout(picture: Image.Image, matte: Plane) -> bytes:
    """STUB."""
    out = io.BytesIO()
    cut = picture.copy()
    cut.putalpha(Image.fromarray(matte))
    cut.save(out, "PNG", compress_level=1)
    return out.getvalue()
