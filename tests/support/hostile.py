"""Pictures that are broken, huge, odd or none at all, each made here; nothing is downloaded."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from tests.support.photos import saved, stripes

MASKS = "masks"
"""What is expected of a file that is odd, but a picture."""


@dataclass(frozen=True)
class Hostile:
    """A file, and what must become of it."""

    name: str
    file: bytes
    expected: frozenset[str]
    """Error codes, or `MASKS`; more than one where the decoder's build decides."""


def hostile_files() -> Iterator[Hostile]:
    """Every kind of the corpus."""
    for kind, expected, files in (
        ("cut", {"invalid_image"}, _cut()),
        ("bomb", {"image_too_large"}, _bombs()),
        ("text", {MASKS, "invalid_image"}, _text_bombs()),
        ("odd", {MASKS}, _odd()),
        ("rotated", {MASKS}, _rotated()),
        ("wrapped", {MASKS}, _polyglots()),
        ("foreign", {"unsupported_format"}, _foreign()),
        ("broken", {"invalid_image"}, _broken()),
        ("arithmetic", {MASKS, "invalid_image"}, _arithmetic()),
    ):
        for name, file in files.items():
            yield Hostile(f"{kind}-{name}", file, frozenset(expected))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks, with true checksums."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        parts += [struct.pack(">I", len(content)), kind, content]
        parts.append(struct.pack(">I", zlib.crc32(kind + content)))
    return b"".join(parts)


def _header(width: int, height: int, depth: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def photo(width: int = 240, height: int = 320) -> Image.Image:
    """The stripes of a person with some noise, so that files have a length worth cutting."""
    noise = np.random.default_rng(7).integers(-20, 20, (height, width, 3))
    pixels = np.clip(stripes(width, height).astype(int) + noise, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


@cache
def whole() -> dict[str, bytes]:
    """A good file of each allowed format and of JPEG's kinds."""
    return {
        "jpeg": saved(photo(), "JPEG", quality=90),
        "progressive": saved(photo(), "JPEG", quality=90, progressive=True),
        "png": saved(photo(), "PNG"),
        "webp": saved(photo(), "WEBP", quality=90),
        "webp-lossless": saved(photo(), "WEBP", lossless=True),
    }


def _cut() -> dict[str, bytes]:
    return {
        f"{name}-{tenth}": file[: len(file) * tenth // 10]
        for name, file in whole().items()
        for tenth in range(1, 10)
    }


def _bombs() -> dict[str, bytes]:
    rows = zlib.compress(bytes(1_000_000))
    jpeg = bytearray(whole()["jpeg"])
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 65500, 65500)
    gap = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\x00\xff\x3f\x00"
    webp = b"RIFF" + struct.pack("<I", 4 + len(gap)) + b"WEBP" + gap
    return {
        "png-dimensions": png(_header(2**31 - 1, 2**31 - 1), (b"IDAT", rows), (b"IEND", b"")),
        "png-just-over": png(_header(7072, 7072), (b"IDAT", rows), (b"IEND", b"")),
        "png-compression": _flat_bomb(20_000),
        "jpeg-dimensions": bytes(jpeg),
        "webp-dimensions": webp,
        "bytes": whole()["png"] + bytes(25 << 20),
    }


def _flat_bomb(side: int) -> bytes:
    """A picture of one colour: 400 million pixels in 400 KiB."""
    deflate = zlib.compressobj(1)
    rows = [deflate.compress(bytes(side + 1)) for _ in range(side)]
    return png(_header(side, side), (b"IDAT", b"".join(rows) + deflate.flush()), (b"IEND", b""))


def _text_bombs() -> dict[str, bytes]:
    head, rest = whole()["png"][8:33], whole()["png"][33:]
    megabytes = zlib.compressobj(1)
    packed = b"".join(megabytes.compress(bytes(1 << 20)) for _ in range(100)) + megabytes.flush()
    small = {
        "packed": (b"zTXt", b"Comment\x00\x00" + packed),
        "international": (b"iTXt", b"Comment\x00\x01\x00\x00\x00" + packed),
        "profile": (b"iCCP", b"profile\x00\x00" + packed),
        "many": (b"tEXt", b"Comment\x00" + b"x" * (20 << 20)),
    }
    return {
        name: b"\x89PNG\r\n\x1a\n" + head + png(chunk)[8:] + rest for name, chunk in small.items()
    }


def _odd() -> dict[str, bytes]:
    rgb = photo()
    alpha = Image.linear_gradient("L").resize(rgb.size)
    clear = rgb.copy()
    clear.putalpha(alpha)
    palette = rgb.quantize(64)
    deep = np.asarray(rgb.convert("L")).astype(np.uint16) * 257
    frames = [rgb.rotate(turn) for turn in (0, 90, 180)]
    animation: dict[str, object] = {"save_all": True, "append_images": frames[1:]}
    return {
        "cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "grey": saved(rgb.convert("L"), "JPEG"),
        "one-bit": saved(rgb.convert("1")),
        "grey-alpha": saved(clear.convert("LA")),
        "rgba": saved(clear),
        "palette": saved(palette),
        "palette-clear": saved(palette, transparency=3),
        "palette-alpha": saved(palette, transparency=bytes(range(64))),
        "rgb-clear": saved(rgb, transparency=(255, 0, 0)),
        "sixteen-bit": saved(Image.fromarray(deep)),
        "sixteen-bit-rgb": _deep_png(np.asarray(rgb)),
        "interlaced": _interlaced(),
        "apng": saved(rgb, "PNG", **animation),
        "animated-webp": saved(rgb, "WEBP", **animation),
        "progressive": whole()["progressive"],
        "one-pixel": saved(rgb.resize((1, 1))),
        "strip": saved(rgb.resize((20_000, 2))),
        "broken-exif": saved(rgb, "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
        "trailing-rubbish": whole()["jpeg"] + bytes(1000),
    }


def _deep_png(rgb: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in rgb.astype(np.uint16) * 257)
    height, width, _ = rgb.shape
    return png(_header(width, height, 16, 2), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def _interlaced() -> bytes:
    """An 8 x 8 grey PNG in Adam7's seven passes."""
    passes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8))
    rows = b"".join(b"\x00" + bytes(width) for height, width in passes for _ in range(height))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    return png((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def _rotated() -> dict[str, bytes]:
    exif = (
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00%c\x00\x00"
    )
    return {
        f"{name}-{turn}": saved(photo(), kind, exif=exif % turn + bytes(4))
        for name, kind in (("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"))
        for turn in range(10)
    }


def _polyglots() -> dict[str, bytes]:
    jpeg, archive = whole()["jpeg"], b"PK\x03\x04" + bytes(40)
    script = b"<html><script>alert(1)</script></html>"
    comment = b"\xff\xfe" + struct.pack(">H", len(script) + 2) + script
    return {
        "jpeg-zip": jpeg + archive,
        "jpeg-html": jpeg[:2] + comment + jpeg[2:],
        "png-html": whole()["png"] + script,
        "png-then-jpeg": whole()["png"] + jpeg,
    }


def _foreign() -> dict[str, bytes]:
    rgb = photo()
    formats = ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "AVIF", "JPEG2000")
    return {
        **{kind.lower(): saved(rgb, kind) for kind in formats},
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "json": b'{"error": "not found"}',
        "pdf": b"%PDF-1.7\n%",
        "zip": b"PK\x03\x04" + bytes(100),
        "text": b"just a line of text\n",
        "zeros": bytes(5000),
        "html-before-jpeg": b"<html>" + whole()["jpeg"],
        "one-byte": b"\xff",
    }


def _broken() -> dict[str, bytes]:
    jpeg, good = whole()["jpeg"], whole()["png"]
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    return {
        "empty": b"",
        "jpeg-begin": b"\xff\xd8\xff",
        "jpeg-without-frame": b"\xff\xd8\xff\xd9",
        "png-signature": good[:8],
        "png-bit-flipped": bytes(damaged),
        "png-without-data": png(_header(10, 10), (b"IEND", b"")),
        "png-no-pixels": png(_header(0, 10), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")),
        "png-short-data": png(_header(9, 9), (b"IDAT", zlib.compress(bytes(30))), (b"IEND", b"")),
        "webp-header": b"RIFF\x00\x00\x00\x00WEBP",
        "jpeg-in-png": good[:8] + jpeg,
        "jpeg-zero-tail": jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2),
        "jpeg-cut-and-closed": jpeg[: len(jpeg) // 2] + b"\xff\xd9",
    }


def _arithmetic() -> dict[str, bytes]:
    """A JPEG of arithmetic coding by its marker (SOF9), which not every libjpeg reads."""
    jpeg = bytearray(whole()["jpeg"])
    jpeg[jpeg.index(b"\xff\xc0") + 1] = 0xC9
    return {"sof9": bytes(jpeg)}
