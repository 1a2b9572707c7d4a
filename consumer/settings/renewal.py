"""Secrets of files, read again while the process runs: whoever replaces a file restarts nothing."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NoReturn

import structlog

from consumer.errors import StartError
from consumer.settings.files import is_secret, secrets_folder
from consumer.settings.group import Group, load

log = structlog.get_logger()

LOOK_SECONDS = 5.0
"""So often the files are looked at. Kubernetes brings a changed Secret within 90 s or so."""

_Seen = tuple[tuple[int, int, int] | None, ...]


class RenewedGroup(Generic[Group]):
    """A group of settings, and who is given it anew where a file of its secrets has changed."""

    def __init__(
        self,
        settings: Group,
        renew: Callable[[Group], None],
        *,
        hide: Callable[[Iterable[str]], None],
        files: Iterable[Path | None] = (),
        check: Callable[[Group], object] = lambda _settings: None,
    ) -> None:
        """`hide` is told of new secrets first, so that none is ever shown.

        `files`: others to look at, such as certificates, whose content isn't in the settings.
        `check` raises `StartError` where what is in them can't be used.
        """
        self._hide = hide
        self._check = check
        self._settings = settings
        self._renew = renew
        self._files = tuple(file for file in files if file is not None)
        self._seen = self._look()

    def look(self) -> None:
        """Give the group anew where a file has changed; keep what was where one can't be used."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            read = load(type(self._settings))
            secrets = {name: getattr(read, name) for name in self._secrets()}
            settings = self._settings.model_copy(update=secrets)
            self._check(settings)
        except StartError as error:  # the next change of a file is another chance
            log.warning("secrets.not_renewed", reason=str(error))
            return
        self._settings = settings
        self._hide(self._settings.secrets())
        log.info("secrets.renewed", of=type(self._settings).__name__)
        self._renew(self._settings)

    def _look(self) -> _Seen:
        folder = secrets_folder()
        secrets = () if folder is None else tuple(folder / name for name in self._secrets())
        return tuple(_signature(file) for file in (*secrets, *self._files))

    def _secrets(self) -> Iterator[str]:
        fields = type(self._settings).model_fields
        return (name for name, field in fields.items() if is_secret(field))


async def watch(*groups: RenewedGroup[Any]) -> NoReturn:
    """Look at the files again and again."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for group in groups:
            group.look()


def _signature(file: Path) -> tuple[int, int, int] | None:
    """Say what changes with a file; Kubernetes changes where its name leads."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
