"""Finds the demo's photos: the user's own, or free ones in installed packages."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from producer_tools.local.errors import NoPhotosError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

# NASA's portrait of Eileen Collins and the US Navy's of Grace Hopper, in the public domain, and
# Lav Varshney's photo of a man at work, CC0: from the side, in a coat, cut off at the knees.
_IN_PACKAGES = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/camera.png"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)


def find_photos(given: Sequence[Path] = ()) -> list[Path]:
    """Return the given files, and the photos in the given folders, sorted within each folder.

    If nothing is given, return the photos in installed packages.

    Raises:
        NoPhotosError: A given file or folder doesn't exist, or a folder has no photos.
    """
    if not given:
        return demo_photos()
    return [photo for path in given for photo in _photos_at(path)]


def _photos_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NoPhotosError(f"{path}: there is no such file or folder.")
    photos = sorted(file for file in path.iterdir() if _is_photo(file))
    if not photos:
        raise NoPhotosError(f"{path}: no photos in this folder (looked for jpg, jpeg, png, webp).")
    return photos


def _is_photo(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def demo_photos() -> list[Path]:
    """Return the free photos in installed packages, without importing the packages.

    Raises:
        NoPhotosError: None of the packages is installed.
    """
    photos = [file for package, name in _IN_PACKAGES if (file := _in_package(package, name))]
    if not photos:
        raise NoPhotosError(
            "The demo's photos are in scikit-image and matplotlib, and neither is installed. "
            "Install them (pip install 'maskline[local]'), or name photos or a folder of your own."
        )
    return photos


def _in_package(package: str, name: str) -> Path | None:
    spec = find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or ()
    return next((file for place in places if (file := Path(place) / name).is_file()), None)
