"""Any of Pillow's modes as RGB."""

import numpy as np
from PIL import Image

_BAND = 1 << 20  # pixels converted at a time: conversions need several copies of what they convert
_DEEPEST = 65535


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, 8 bits a channel.

    Transparency lies over white. Integers of more than 8 bits are scaled from 0..65535, floats from
    0..1; CMYK, YCbCr and the others as Pillow converts them. Colour profiles are not applied.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    width, height = image.size
    whole = Image.new("RGB", image.size, "white")
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        band = image.crop((0, top, width, min(top + step, height)))
        if band.mode.startswith("I") or band.mode == "F":
            whole.paste(_shallow(band), (0, top))
        elif image.has_transparency_data:
            layer = band.convert("RGBA")
            whole.paste(layer, (0, top), layer)
        else:
            whole.paste(band.convert("RGB"), (0, top))
    return whole


def _shallow(band: Image.Image) -> Image.Image:
    deep = np.asarray(band)
    if band.mode == "F":
        deep = np.clip(np.nan_to_num(deep), 0.0, 1.0) * _DEEPEST
    return Image.fromarray((np.clip(deep, 0, _DEEPEST) // 257).astype(np.uint8))
