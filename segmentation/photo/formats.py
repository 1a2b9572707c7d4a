"""Detects the format of a file by its first bytes. The file's name is not used."""

# First bytes, and Pillow's name of the format. Longer ones come before shorter ones.
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

# Brands of the ISO base media format: bytes 8 to 12, after `ftyp`.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}

# Files that aren't pictures, described in error messages.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska)"),
)

_TEXT_BYTES = 1024  # what is read of a text


def detect_format(photo: bytes) -> str | None:
    """Return Pillow's name of the file's picture format, or None if it isn't known here."""
    if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
        return "WEBP"
    if photo[4:8] == b"ftyp":
        return _BRANDS.get(photo[8:12])
    return next((name for begin, name in _SIGNATURES if photo.startswith(begin)), None)


def describe_file(photo: bytes) -> str:
    """Describe a file that isn't a known picture, as a phrase for an error message."""
    if photo[4:8] == b"ftyp":
        return "a video (MP4)"
    for begin, name in _OTHERS:
        if photo.startswith(begin):
            return name
    text = photo[:_TEXT_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
        return "an HTML page"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if text.startswith((b"{", b"[")):
        return "JSON"
    return "nothing that is known here as a picture"
