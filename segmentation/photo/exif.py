"""EXIF's orientation, the only metadata that changes a photo."""

import struct

_ORIENTATION = 0x0112
_FORMATS = {1: "B", 3: "H", 4: "I"}  # by TIFF's types of whole numbers
_ENTRY_BYTES = 12


def read_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8. It is 1 if there is none, or if EXIF is broken.

    Only the first directory is read, and of it only whole numbers, so the time is bounded.
    """
    try:
        order = {b"II": "<", b"MM": ">"}[exif[:2]]
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, first)
        for index in range(entries):
            at = first + 2 + index * _ENTRY_BYTES
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, at)
            if tag == _ORIENTATION:
                return _orientation(exif, at + 8, kind, count, order)
    except (KeyError, struct.error):  # broken EXIF doesn't make the photo unusable
        pass
    return 1


def _orientation(exif: bytes, at: int, kind: int, count: int, order: str) -> int:
    if count != 1 or kind not in _FORMATS:
        return 1
    value: int = struct.unpack_from(order + _FORMATS[kind], exif, at)[0]
    return value if 1 <= value <= 8 else 1
