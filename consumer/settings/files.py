"""Files that settings name: opened at start, so that a wrong one is known then."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

LARGEST_SECRET = 64 * 1024
"""Bytes of a secret's file."""


def _opened(path: Path) -> Path:
    """Keep the path of a file that can be read."""
    try:
        with _open(path):
            return path
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or error}") from None


NamedFile = Annotated[Path, AfterValidator(_opened)]
"""A file that is there and can be read."""


def secrets_folder() -> Path | None:
    """Give the folder that `SECRETS_DIR` names, if it names one."""
    folder = os.environ.get("SECRETS_DIR")
    return Path(folder) if folder else None


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets from a folder: each in a file of the setting's name in lower case, and no others.

    Other programs keep files of such names as `host` in their folders of secrets.
    """

    def __init__(self, group: type[BaseSettings], folder: Path) -> None:
        super().__init__(group)
        self._folder = folder

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Give the secret of that name; None where it has no file.

        Raises:
            ValueError: the file can't be read, or is empty.
        """
        path = self._folder / field_name
        if not is_secret(field) or not path.exists():
            return None, field_name, False
        content = _read(path)
        try:
            secret = content.decode().strip()
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8") from None
        if not secret:
            raise ValueError(f"{path} is empty: write the secret into it, or remove it")
        return secret, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give every secret that has a file."""
        if not self._folder.is_dir():
            raise ValueError(f"SECRETS_DIR={self._folder} is not a folder")
        fields: Mapping[str, FieldInfo] = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: secret for name, secret in found.items() if secret is not None}


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is one that is never shown."""
    return "SecretStr" in str(field.annotation)


def _read(path: Path) -> bytes:
    try:
        with _open(path) as file:
            content = file.read(LARGEST_SECRET + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror or error}") from None
    if len(content) > LARGEST_SECRET:
        raise ValueError(f"{path} has more than {LARGEST_SECRET} bytes")
    return content


def _open(path: Path) -> BinaryIO:
    """Open a regular file: one would wait for a pipe for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    return path.open("rb")
