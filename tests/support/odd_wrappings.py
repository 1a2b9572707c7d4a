"""Sound photos in odd wrappings: metadata damaged, cut, oversized, in odd places and of odd kinds.

Each is made here from a few originals; what an original's pixels need is as it was.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from tests.support.hostile import photo
from tests.support.photos import saved

_DEFLATE = zlib.compressobj(9)
BOMB = b"".join(_DEFLATE.compress(bytes(1 << 20)) for _ in range(100)) + _DEFLATE.flush()
"""A hundred megabytes of zeros."""
LARGE = 1 << 18
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
_ADOBE_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_ANCILLARY = (
    *("tEXt", "zTXt", "iTXt", "pHYs", "gAMA", "cHRM", "sRGB", "iCCP", "sBIT", "bKGD", "hIST"),
    *("tIME", "sPLT", "eXIf", "acTL", "fcTL", "fdAT", "oFFs", "abCd", "caBX"),
)


@dataclass(frozen=True)
class Wrapped:
    """A photo in an odd wrapping, and the plain one."""

    name: str
    file: bytes
    plain: bytes


@cache
def odd_wrappings() -> tuple[Wrapped, ...]:
    """Every wrapping of every original."""
    return (*_jpegs(), *_pngs(), *_webps())


def exif(value: bytes, *, kind: int = 3, count: int = 1, entries: int = 1) -> bytes:
    """EXIF's data with an orientation, big-endian."""
    entry = struct.pack(">HHI", 0x0112, kind, count) + value.ljust(4, b"\x00")[:4]
    return b"MM\x00*\x00\x00\x00\x08" + struct.pack(">H", entries) + entry + bytes(4)


def oriented(turn: int) -> bytes:
    """EXIF's data with one of the orientations."""
    return exif(struct.pack(">H", turn))


def broken_exifs() -> dict[str, bytes]:
    """EXIF that turns nothing."""
    return {
        "empty": b"",
        "text": b"EXIF",
        "cut": oriented(6)[:15],
        "far": b"MM\x00*\xff\xff\xff\xf0" + bytes(20),
        "loop": b"MM\x00*\x00\x00\x00\x00" + bytes(100),
        "many-entries": exif(b"\x00\x01", entries=65535) + bytes(64 << 10),
        "rational": exif(struct.pack(">I", 26), kind=5) + struct.pack(">II", 6, 1),
        "many-rationals": exif(struct.pack(">I", 8), kind=5, count=2**29) + bytes(60 << 10),
        "many-shorts": exif(struct.pack(">I", 8), count=2**31 - 1) + bytes(1000),
        "nine": oriented(9),
        "zero": oriented(0),
        "text-kind": exif(b"6", kind=2),
    }


def segment(marker: int, content: bytes) -> bytes:
    """A JPEG's segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg_with(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with these behind its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind: str, content: bytes, *, wrong: bool = False) -> bytes:
    """A PNG's chunk, its checksum right or wrong."""
    name = kind.encode()
    checksum = zlib.crc32(name + content) ^ wrong
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def riff(kind: bytes, content: bytes, *, claimed: int | None = None) -> bytes:
    """A WebP's chunk; `claimed` is a length other than its own."""
    length = len(content) if claimed is None else claimed
    return kind + struct.pack("<I", length) + content + bytes(len(content) % 2)


def webp_with(webp: bytes, *chunks: bytes, flags: int = 0x2C, before: bool = False) -> bytes:
    """The WebP as an extended one, with more chunks."""
    width, height = Image.open(io.BytesIO(webp)).size
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    first = riff(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)
    more = b"".join(chunks)
    body = first + (more + webp[12:] if before else webp[12:] + more)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _jpegs() -> Iterator[Wrapped]:
    rgb = photo(160, 240)
    originals = {
        "baseline": saved(rgb, "JPEG", quality=90),
        "progressive": saved(rgb, "JPEG", quality=90, progressive=True),
        "fine": saved(rgb, "JPEG", quality=90, subsampling=0, keep_rgb=True),
        "grey": saved(rgb.convert("L"), "JPEG", quality=90),
    }
    for name, plain in originals.items():
        for wrapping, file in _wrapped_jpegs(plain).items():
            yield Wrapped(f"jpeg-{name}-{wrapping}", file, plain)
    yield Wrapped("mpo", two_pictures(), originals["baseline"])


def _wrapped_jpegs(plain: bytes) -> dict[str, bytes]:
    exif_begin = b"Exif\x00\x00"
    segments = {f"app{number}-empty": [segment(0xE0 + number, b"")] for number in range(16)}
    segments |= {
        f"exif-{name}": [segment(0xE1, (exif_begin + data)[:65533])]
        for name, data in broken_exifs().items()
    }
    segments |= {
        "app14-6-bytes": [segment(0xEE, b"Adobe\x00")],
        "app14-9-bytes": [segment(0xEE, b"Adobe\x00d\x00\x00")],
        "jfif-7-bytes": [segment(0xE0, b"JFIF\x00\x01\x01")],
        "jfxx": [segment(0xE0, b"JFXX\x00\x10" + bytes(500))],
        "photoshop-cut": [segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\xff\xff\xff\xff")],
        "photoshop-odd": [segment(0xED, b"Photoshop 3.0\x00" + b"8BIM\x03\xed\x00")],
        "profile-cut": [segment(0xE2, b"ICC_PROFILE\x00\x01")],
        "profile-5-of-9": [segment(0xE2, b"ICC_PROFILE\x00\x05\x09" + bytes(300))],
        "profile-large": [
            segment(0xE2, b"ICC_PROFILE\x00" + bytes([part, 60]) + bytes(65000))
            for part in range(1, 61)
        ],
        "mpf-cut": [segment(0xE2, b"MPF\x00MM\x00*\x00\x00\x00\x08\xff\xff")],
        "mpf-loop": [segment(0xE2, b"MPF\x00MM\x00*\x00\x00\x00\x00" + bytes(50))],
        "xmp-orientation": [segment(0xE1, _ADOBE_XMP + XMP)],
        "xmp-no-xml": [segment(0xE1, _ADOBE_XMP + b"\x00\xff<<<&&&")],
        "xmp-and-comments": [segment(0xE1, _ADOBE_XMP + XMP), segment(0xFE, b"\xff\xd9\xff\xda")],
        "comments": [segment(0xFE, b"x" * 65533)] * 40,
        "tiny-comments": [segment(0xFE, b"")] * 30_000,
        "length-0": [b"\xff\xe5\x00\x00"],
        "length-1": [b"\xff\xec\x00\x01"],
        "fill": [b"\xff" * 5000],
    }
    files = {name: jpeg_with(plain, *parts) for name, parts in segments.items()}
    mpo = two_pictures()
    index = mpo.index(b"\xff\xe2")
    (length,) = struct.unpack_from(">H", mpo, index + 2)
    table = plain.index(b"\xff\xdb")
    return {
        **files,
        "mpo-index": jpeg_with(plain, mpo[index : index + 2 + length]),
        "second-picture": plain + mpo,
        "trailer": plain + bytes(LARGE),
        "trailer-markers": plain + b"\xff\xd8\xff\xda\xff\xd9" * 1000,
        "rubbish": plain[:table] + b"rubbish \x00\xff\x00 between" + plain[table:],
        "late-metadata": plain[:table] + segment(0xEE, b"Adobe") + plain[table:],
    }


def two_pictures() -> bytes:
    """An MPO, as cameras of two lenses write them."""
    more: dict[str, object] = {"save_all": True, "append_images": [photo(80, 60)], "quality": 90}
    return saved(photo(160, 240), "MPO", **more)


def _pngs() -> Iterator[Wrapped]:
    rgb = photo(160, 240)
    clear = rgb.copy()
    clear.putalpha(Image.linear_gradient("L").resize(rgb.size))
    palette = rgb.quantize(64)
    originals = {
        "rgb": saved(rgb),
        "alpha": saved(clear),
        "palette": saved(palette, transparency=bytes(range(64))),
    }
    for name, plain in originals.items():
        some = _ANCILLARY if name == "rgb" else _ANCILLARY[::6]
        for wrapping, file in (*_wrapped_pngs(plain, some), *_rewritten_pngs(plain)):
            yield Wrapped(f"png-{name}-{wrapping}", file, plain)
    rgb_plain = originals["rgb"]
    for name, kind, content, wrong in (
        ("suggested-palette", "PLTE", bytes(range(9)), False),
        ("suggested-palette-wrong", "PLTE", bytes(7), True),
        ("transparency-wrong-crc", "tRNS", bytes(6), True),
        ("transparency-5-bytes", "tRNS", bytes(5), False),
        ("transparency-empty", "tRNS", b"", False),
    ):
        yield Wrapped(
            f"png-rgb-{name}", png_with(rgb_plain, chunk(kind, content, wrong=wrong)), rgb_plain
        )


def png_with(png: bytes, *chunks: bytes, behind: bool = False) -> bytes:
    """The PNG with more chunks, right behind its header or right before its end."""
    at = len(png) - 12 if behind else 33
    return png[:at] + b"".join(chunks) + png[at:]


def _wrapped_pngs(plain: bytes, kinds: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for kind in kinds:
        for name, content, wrong in (
            ("wrong-crc", b"key\x00value", True),
            ("2-bytes", b"\x00\x01", False),
            ("empty", b"", False),
            ("bomb", b"key\x00\x00" + BOMB, False),
            ("large", b"x" * LARGE, False),
        ):
            more = chunk(kind, content, wrong=wrong)
            yield f"{kind}-{name}", png_with(plain, more, behind=kind in _ANCILLARY[::2])
    for name, data in broken_exifs().items():
        yield f"exif-{name}", png_with(plain, chunk("eXIf", data), behind=len(name) % 2 == 0)


def _rewritten_pngs(plain: bytes) -> Iterator[tuple[str, bytes]]:
    data = plain.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", plain, data)
    packed, end = plain[data + 8 : data + 8 + length], plain[-12:]
    pieces = [chunk("IDAT", packed[at : at + 97]) for at in range(0, len(packed), 97)]
    only = len(packed) + 12 == len(plain) - data - len(end)
    text = chunk("iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP)
    yield "xmp-orientation", png_with(plain, text)
    yield (
        "xmp-packed",
        png_with(plain, chunk("iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + BOMB)),
    )
    yield "no-end", plain[:-12]
    yield "half-an-end", plain[:-6]
    yield "end-wrong-crc", plain[:-4] + bytes(4)
    yield "trailer", plain + bytes(LARGE)
    yield "cut-behind", plain[:-12] + struct.pack(">I", 5000) + b"tEXtcut"
    yield "tiny-chunks", png_with(plain, *[chunk("tEXt", b"")] * 30_000)
    if only:
        yield "in-pieces", plain[:data] + b"".join(pieces) + end
        empty = chunk("IDAT", b"")
        yield "empty-pieces", plain[:data] + empty * 1000 + b"".join(pieces) + empty * 1000 + end


def _webps() -> Iterator[Wrapped]:
    rgb = photo(160, 240)
    for name, plain in (
        ("lossy", saved(rgb, "WEBP", quality=90)),
        ("lossless", saved(rgb, "WEBP", lossless=True)),
    ):
        for wrapping, file in _wrapped_webps(plain).items():
            yield Wrapped(f"webp-{name}-{wrapping}", file, plain)


def _wrapped_webps(plain: bytes) -> dict[str, bytes]:
    files = {
        f"exif-{name}": webp_with(plain, riff(b"EXIF", data))
        for name, data in broken_exifs().items()
    }
    return {
        **files,
        "xmp-orientation": webp_with(plain, riff(b"XMP ", XMP)),
        "profile-rubbish": webp_with(plain, riff(b"ICCP", bytes(7)), before=True),
        "profile-large": webp_with(plain, riff(b"ICCP", bytes(LARGE)), before=True),
        "unknown": webp_with(plain, riff(b"abcd", bytes(9)), before=True),
        "cut-exif": webp_with(plain, riff(b"EXIF", b"MM", claimed=5000)),
        "cut-xmp": webp_with(plain, riff(b"XMP ", b"<", claimed=2**31)),
        "flags-without-chunks": webp_with(plain),
        "trailer": plain + bytes(LARGE),
        "second-picture": plain + plain,
        "riff-too-long": plain[:4] + struct.pack("<I", 2**30) + plain[8:],
        "riff-too-short": plain[:4] + struct.pack("<I", 20) + plain[8:],
        "riff-zero": plain[:4] + bytes(4) + plain[8:],
    }


def converted() -> Iterator[Wrapped]:
    """Photos whose pixels are told in another way; the masks are nearly the plain one's."""
    rgb = photo(160, 240)
    plain = saved(rgb)
    deep = np.asarray(rgb).astype(">u2") * 257
    rows = b"".join(b"\x00" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", *rgb.size, 16, 2, 0, 0, 0)
    sixteen = (
        b"\x89PNG\r\n\x1a\n"
        + chunk("IHDR", header)
        + chunk("IDAT", zlib.compress(rows))
        + chunk("IEND", b"")
    )
    profile = bytes(3000)
    jpeg, webp = saved(rgb, "JPEG", quality=95), saved(rgb, "WEBP", quality=95)
    pairs = {
        "cmyk": (saved(rgb.convert("CMYK"), "JPEG", quality=95), plain),
        "cmyk-profile": (
            saved(rgb.convert("CMYK"), "JPEG", quality=95, icc_profile=profile),
            plain,
        ),
        "jpeg-profile": (saved(rgb, "JPEG", quality=95, icc_profile=profile), jpeg),
        "png-profile": (saved(rgb, icc_profile=profile), plain),
        "webp-profile": (saved(rgb, "WEBP", quality=95, icc_profile=profile), webp),
        "sixteen-bit": (sixteen, plain),
        "palette": (saved(rgb.quantize(256)), plain),
        "alpha": (saved(rgb.convert("RGBA")), plain),
    }
    for name, (file, other) in pairs.items():
        yield Wrapped(f"converted-{name}", file, other)
