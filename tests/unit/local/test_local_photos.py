"""Which photos the demo takes."""

import subprocess
import sys
from pathlib import Path

import pytest

from producer_tools.local.demo import photos
from producer_tools.local.errors import NoPhotosError


def test_without_arguments_the_photos_of_installed_packages_are_found() -> None:
    """The first run needs nothing from its user."""
    names = [photo.name for photo in photos.find_photos()]
    assert names == ["astronaut.png", "camera.png", "grace_hopper.jpg"]


def test_the_packages_are_not_imported() -> None:
    """Importing matplotlib and skimage would take seconds for two file names."""
    program = (
        "import sys; from producer_tools.local.demo.photos import demo_photos; demo_photos(); "
        "print({'skimage', 'matplotlib'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "set()\n"


def test_a_folder_gives_its_photos_sorted(tmp_path: Path) -> None:
    """Other files, hidden files and folders are left out; case doesn't matter."""
    for name in ("b.JPG", "a.webp", "c.jpeg", "d.png", ".e.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "f.png").mkdir()
    found = [photo.name for photo in photos.find_photos([tmp_path])]
    assert found == ["a.webp", "b.JPG", "c.jpeg", "d.png"]


def test_files_are_taken_as_they_are_named(tmp_path: Path) -> None:
    """A file's ending is the consumer's to judge: a wrong one shows as a failed job."""
    file = tmp_path / "photo.of.mine"
    file.touch()
    assert photos.find_photos([file]) == [file]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    """The message has the path in it."""
    with pytest.raises(NoPhotosError, match=r"nowhere: there is no such file or folder"):
        photos.find_photos([tmp_path / "nowhere"])


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(NoPhotosError, match=r"no photos in this folder .*webp"):
        photos.find_photos([tmp_path])


def test_without_the_packages_the_message_has_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Install them, or name photos."""
    monkeypatch.setattr(photos, "find_spec", lambda _: None)
    with pytest.raises(NoPhotosError, match="name photos or a folder"):
        photos.find_photos()
