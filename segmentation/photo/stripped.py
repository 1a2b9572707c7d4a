"""A photo's file without what its pixels don't need: metadata is neither parsed nor unpacked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StrippedFile:
    """A file of the same picture, without metadata."""

    file: bytes
    exif: bytes = b""
    """EXIF's data, which begins with a TIFF header; empty if the file has none."""
    many_scans: bool = False
    """Whether it is a JPEG of which each scan passes over the whole picture."""
