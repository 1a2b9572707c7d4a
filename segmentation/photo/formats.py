"""What a file is, told by its first bytes and never by its name."""

# First bytes, and the name that Pillow gives the format; longer ones first where they overlap.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"BM", "BMP"),
)

# Boxes of the ISO base media format: bytes 4 to 12.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}

# What isn't a picture to Pillow, for the message alone.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska)"),
)

_GLANCE = 1024  # bytes of a text that are looked at


def detect_format(photo: bytes) -> str | None:
    """Pillow's name of the picture format that the file begins as; None when it is none known."""
    if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
        return "WEBP"
    if photo[4:8] == b"ftyp":
        return _BRANDS.get(photo[8:12])
    return next((name for begin, name in _SIGNATURES if photo.startswith(begin)), None)


def describe_file(photo: bytes) -> str:
    """What a file that is no known picture looks like, as a phrase for the customer."""
    if photo[4:8] == b"ftyp":
        return "a video (MP4)"
    for begin, name in _OTHERS:
        if photo.startswith(begin):
            return name
    text = photo[:_GLANCE].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
        return "an HTML page"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if text.startswith((b"{", b"[")):
        return "JSON"
    return "nothing that is known here as a picture"
