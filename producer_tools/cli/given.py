"""The photos that a command line names: files, folders, and objects in S3."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from producer_tools.errors import PhotoError
from schemas.job import ImageReference

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class Given:
    """One photo."""

    photo: Path | ImageReference
    name: str
    """How it was named, or its path from the named folder on."""


def find_photos(arguments: Sequence[str], *, max_bytes: int) -> tuple[list[Given], list[str]]:
    """Return the photos, sorted within each folder, and what is wrong with those left out.

    Raises:
        PhotoError: A named folder isn't there, or an S3 reference is none.
    """
    found: list[Given] = []
    problems: list[str] = []
    for given in (each for argument in arguments for each in _named(argument)):
        problem = _problem(given.photo, max_bytes) if isinstance(given.photo, Path) else None
        if problem is None:
            found.append(given)
        else:
            problems.append(f"{given.name}: {problem}")
    return found, problems


def _named(argument: str) -> Iterator[Given]:
    if argument.startswith(("s3://", "minio://")):
        try:
            yield Given(ImageReference.parse(argument), argument)
        except ValueError as error:
            raise PhotoError(f"{argument}: {error}") from None
        return
    path = Path(argument)
    if not path.is_dir():
        yield Given(path, argument)
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix.lower() in SUFFIXES and not hidden and not file.is_dir():
            yield Given(file, str(file.relative_to(path)))


def _problem(file: Path, max_bytes: int) -> str | None:
    """Return why a file can't be submitted. None: it can."""
    try:
        size = file.stat().st_size
    except OSError as error:
        return error.strerror or str(error)
    if not file.is_file():
        return "it is no file"
    if not os.access(file, os.R_OK):
        return "it can't be read: permission denied"
    if size > max_bytes:
        return f"it has {size} bytes, and the line takes {max_bytes} (MAX_IMAGE_BYTES)"
    return None
