"""A photo's file as Pillow reads it, with a deadline."""

import io

from PIL import ImageFile

from segmentation.deadline import Deadline
from segmentation.photo.jpeg import SCAN
from segmentation.photo.stripped import StrippedFile


class TimedFile(io.BytesIO):
    """A file in memory. Reading it raises `DeadlineExceeded` when the time is over.

    A few bytes of a scan can mean work on the whole picture. So where a file has many scans, its
    decoder gets them one at a time.
    """

    def __init__(self, photo: StrippedFile, deadline: Deadline) -> None:
        super().__init__(photo.file)
        self._photo = photo
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, and as many of a header."""
        self._deadline.check()
        if self._photo.many_scans and size is not None and size >= ImageFile.MAXBLOCK:
            at = self.tell()
            scan = self._photo.file.find(SCAN, at + 1, at + size)
            size = scan - at if scan > at else size
        return super().read(size)
