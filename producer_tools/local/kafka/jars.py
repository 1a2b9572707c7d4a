"""Downloads Apache Kafka's jars once and keeps them in a cache. kafka_jars.txt lists them.

Every jar is downloaded into a temporary folder, compared with its checksum, and then moved to the
cache. So a jar in the cache is complete unless it was damaged later. Each start checks that, and
downloads damaged jars again.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import Event

from rich.console import Console

from producer_tools.local.errors import FetchError
from producer_tools.local.kafka.download_progress import DownloadProgress

KAFKA_VERSION = "4.3.0"

_TRIES = 3
_AT_ONCE = 6


@dataclass(frozen=True)
class Jar:
    """One file of Apache Kafka's class path."""

    group: str
    """Maven's group id."""
    artifact: str
    """Maven's artifact id."""
    version: str
    sha256: str
    """SHA-256 of the file in hexadecimal."""
    size: int
    """Length of the file in bytes."""

    @property
    def name(self) -> str:
        """The jar's file name."""
        return f"{self.artifact}-{self.version}.jar"

    def is_complete(self, path: Path) -> bool:
        """Return whether the file at `path` has this jar's size and checksum."""
        try:
            content = path.read_bytes()
        except OSError:
            return False
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def kafka_jars() -> tuple[Jar, ...]:
    """Return the jars of the broker, as pinned in kafka_jars.txt."""
    text = resources.files(__package__).joinpath("kafka_jars.txt").read_text()
    return tuple(_jar(line) for line in text.splitlines() if not line.startswith("#"))


def _jar(line: str) -> Jar:
    coordinates, sha256, size = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256, int(size))


def default_cache() -> Path:
    """Return the folder for the jars in the user's cache folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "maskline" / f"kafka-{KAFKA_VERSION}"


def class_path(*, console: Console, cache: Path, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Return the files of Kafka's class path. First download those that are missing or damaged.

    Raises:
        FetchError: A file couldn't be downloaded.
    """
    jars = kafka_jars() if jars is None else jars
    if _missing(jars, cache):
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache, console), tempfile.TemporaryDirectory(dir=cache) as downloads:
            # While we waited for the lock, another process may have downloaded the missing jars.
            _fetch(_missing(jars, cache), cache, Path(downloads), console)
    return [cache / jar.name for jar in jars]


def _missing(jars: Sequence[Jar], cache: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.is_complete(cache / jar.name)]


@contextmanager
def _lock(cache: Path, console: Console) -> Iterator[None]:
    with (cache / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another process is fetching Apache Kafka; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(jars: Sequence[Jar], cache: Path, downloads: Path, console: Console) -> None:
    for damaged in (jar.name for jar in jars if (cache / jar.name).exists()):
        console.print(f"{damaged} in the cache is damaged; it is fetched again.")
    if not jars:
        return
    with DownloadProgress(
        f"Apache Kafka {KAFKA_VERSION}", sum(jar.size for jar in jars), console
    ) as progress_bar:
        stopping = Event()
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for path in pool.map(
                lambda jar: _fetch_jar(jar, downloads, progress_bar, stopping), jars
            ):
                path.replace(cache / path.name)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


def _fetch_jar(jar: Jar, downloads: Path, progress_bar: DownloadProgress, stopping: Event) -> Path:
    """Download one jar into `downloads`, and return its path when it is complete."""

    @contextmanager
    def progress(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        def advance(count: int) -> None:
            if stopping.is_set():
                raise InterruptedError
            progress_bar.advance(count)

        yield advance

    for tries_left in reversed(range(_TRIES)):
        try:
            path = _download(jar, downloads, progress)
        except (OSError, RuntimeError) as error:
            if tries_left == 0 or stopping.is_set():
                raise FetchError(_failure_message(jar, error)) from error
            continue
        if jar.is_complete(path):
            return path
        path.unlink()
    raise FetchError(
        f"{jar.name} was downloaded {_TRIES} times with a checksum that is not the pinned one. "
        "Something between this machine and the repository changes the file."
    )


def _download(
    jar: Jar,
    downloads: Path,
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
) -> Path:
    # Imported here because it takes a third of a second, and only a first run needs it.
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    mirrors = GlobalSettings.load().repositories
    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=downloads,
        local_repos=[],
        remote_repos=mirrors or {"central": MAVEN_CENTRAL_URL},
        timeout=30,
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    # An earlier try may have left an incomplete file.
    (downloads / artifact.component.path_prefix / jar.name).unlink(missing_ok=True)
    return Path(artifact.resolve())


def _failure_message(jar: Jar, error: Exception) -> str:
    url = getattr(getattr(error, "request", None), "url", None)
    return (
        f"Apache Kafka {KAFKA_VERSION} could not be fetched: {url or jar.name}: {error}\n"
        "It is needed once (about 44 MB) to run a real Kafka on this machine; later runs take it "
        f"from {default_cache()}.\n"
        "Check the network (behind a proxy: HTTPS_PROXY; behind a mirror: [repositories] in "
        "~/.config/jgo.conf), or copy that folder from a machine that has it."
    )
