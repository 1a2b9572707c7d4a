"""The view's file: in a folder of our own, written by one process, read by many."""

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from producer_tools.errors import DiskFullError, ViewError
from producer_tools.view.tables import TABLES, VERSION

_BUSY_SECONDS = 5.0
_CACHE_KIB = 32 * 1024
_DISK_FULL = ("database or disk is full", "disk I/O error")


class LockedError(ViewError):
    """Another process folds the topics into this file."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock: whoever has it may fold. It is free again when the process dies.

    Raises:
        LockedError: Another process has it.
        ViewError: The file can't be used.
    """
    prepare_folder(path.parent)
    descriptor = _open(path.with_name(f"{path.name}.lock"))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise ViewError(f"VIEW_FILE={path} can't be locked: {error}") from error
            raise LockedError(
                f"VIEW_FILE={path} is kept up to date by another process, which has it locked"
            ) from None
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a process keeps the file up to date."""
    try:
        with locked(path):
            return False
    except LockedError:
        return True


def file_id(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from another of its name. None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def prepare_folder(folder: Path) -> None:
    """Make the folder, or check that it is ours and nobody else's.

    Raises:
        ViewError: It isn't.
    """
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ViewError(f"VIEW_FILE: {folder} is no folder of ours. Name a file in another folder")
    if found.st_mode & 0o077:
        raise ViewError(f"VIEW_FILE: others can look into {folder}. Run: chmod 700 {folder}")


def open_writer(path: Path, identity: str) -> sqlite3.Connection:
    """Open the file to fold into it. One that was made of other topics is rebuilt.

    Raises:
        ViewError: The file can't be used.
    """
    os.close(_open(path))  # so that it is 0600 before there is anything in it
    with sqlite_errors(path):
        try:
            return _open_checked(path, identity)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for suffix in ("", "-wal", "-shm"):  # it is damaged, or no database at all
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            os.close(_open(path))
            return _open_checked(path, identity)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file to read it.

    Raises:
        ViewError: There is no such file, or it can't be used.
    """
    with sqlite_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("SELECT 1 FROM view")
        except BaseException:
            connection.close()
            raise
        return connection


def identity_of(connection: sqlite3.Connection) -> str | None:
    """Return what the file was made of. None: it is of another version, or new."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        return None
    (identity,) = connection.execute("SELECT identity FROM view").fetchone()
    return str(identity)


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commit what the block does, all or nothing.

    Raises:
        DiskFullError: There is no room for it.
        ViewError: The file can't be used.
    """
    with sqlite_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            raise


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with the file."""
    try:
        yield
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and str(error) in _DISK_FULL:
            raise DiskFullError(
                f"There is no room for VIEW_FILE={path}: {error}. Free some, or name a file on"
                " another disk"
            ) from error
        raise _unusable(path, error) from error


def rebuild(connection: sqlite3.Connection, identity: str) -> None:
    """Empty the file, and begin it anew for this line, in one transaction of the caller's."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in found:
        connection.execute(f'DROP TABLE "{name}"')
    for statement in TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT INTO view VALUES (?, 0, -1, NULL)", (identity,))
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _open_checked(path: Path, identity: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last transactions, but no half of one.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if identity_of(connection) != identity:
            with transaction(connection, path):
                rebuild(connection, identity)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> int:
    """Open the file, and make it if need be: 0600, and no link to another's."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> ViewError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"There is no room for VIEW_FILE={path}: free some")
    return ViewError(f"VIEW_FILE={path} can't be used: {error}")
