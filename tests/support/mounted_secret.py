"""A Secret as Kubernetes mounts it."""

from collections.abc import Mapping
from pathlib import Path


class MountedSecret:
    """Links to files in a folder that a link leads to: it is replaced as a whole."""

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        self.folder = folder
        self._versions = 0
        folder.mkdir()
        self.replace(secrets)

    def replace(self, secrets: Mapping[str, str]) -> None:
        """Bring the Secret's next version."""
        self._versions += 1
        version = self.folder / f"..version-{self._versions}"
        version.mkdir()
        for name, secret in secrets.items():
            (version / name).write_text(secret)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data") / name)
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").replace(self.folder / "..data")
