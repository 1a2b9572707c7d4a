"""Room on the disk for uploads: each reserves what it may need before it begins."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from producer_tools.gateway.refusal import no_room

SPARE_BYTES = 64 * 1024 * 1024
"""So much stays free: the view needs room, too."""


class Spool:
    """The folder in which uploads are spooled. Its files have no names, so none is left behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reserved = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Keep room for so many bytes while the block lasts.

        Raises:
            Refused: 507, there is none.
        """
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise no_room(f"TEMP_FOLDER={self._folder} can't be used: {error.strerror}") from error
        if free - self._reserved - size < SPARE_BYTES:
            raise no_room(
                f"There is no room for uploads in TEMP_FOLDER={self._folder}. Please try again"
                " later."
            )
        self._reserved += size
        try:
            yield
        finally:
            self._reserved -= size

    def file(self) -> FileIO:
        """Return a new file that nobody else sees.

        Raises:
            Refused: 507, it can't be made.
        """
        try:
            return tempfile.TemporaryFile(dir=self._folder, buffering=0)
        except OSError as error:
            raise no_room(f"TEMP_FOLDER={self._folder} can't be used: {error.strerror}") from error

    def problem(self) -> str | None:
        """Return why uploads can't be spooled. None: they can."""
        if not os.access(self._folder, os.W_OK | os.X_OK):
            return f"TEMP_FOLDER={self._folder} can't be written"
        if shutil.disk_usage(self._folder).free < SPARE_BYTES:
            return f"TEMP_FOLDER={self._folder} is full"
        return None
