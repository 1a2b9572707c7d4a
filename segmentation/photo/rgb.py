"""Converts pictures of any of Pillow's modes to RGB."""

import numpy as np
from PIL import Image

_BAND = 1 << 20  # pixels to convert at a time, because a conversion makes several copies
_MAX_16_BIT = 65535


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB with 8 bits for each channel.

    Transparent pixels are blended with white. Integers of more than 8 bits are scaled from
    0..65535, floats from 0..1. Pillow converts CMYK, YCbCr and other modes. Colour profiles are not
    applied.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    width, height = image.size
    whole = Image.new("RGB", image.size, "white")
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        band = image.crop((0, top, width, min(top + step, height)))
        if band.mode.startswith("I") or band.mode == "F":
            whole.paste(_to_8_bit(band), (0, top))
        elif image.has_transparency_data:
            layer = band.convert("RGBA")
            whole.paste(layer, (0, top), layer)
        else:
            whole.paste(band.convert("RGB"), (0, top))
    return whole


def _to_8_bit(band: Image.Image) -> Image.Image:
    values = np.asarray(band)
    if band.mode == "F":
        values = np.clip(np.nan_to_num(values), 0.0, 1.0) * _MAX_16_BIT
    return Image.fromarray((np.clip(values, 0, _MAX_16_BIT) // 257).astype(np.uint8))
