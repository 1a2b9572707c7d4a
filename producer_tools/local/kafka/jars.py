"""Apache Kafka's jars: named with their checksums in kafka_jars.txt, fetched once, kept in a cache.

Every jar is fetched into a folder beside the cache, compared with its checksum, and only then moved
in. So a jar in the cache is whole, or was damaged later, which each start notices and mends.
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
    """One file of Apache Kafka's class path.

    Attributes:
        group: Maven's group id.
        artifact: Maven's artifact id.
        version: Its version.
        sha256: Of its bytes, in hexadecimal.
        size: Bytes.
    """

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.artifact}-{self.version}.jar"

    def is_whole(self, path: Path) -> bool:
        """Say whether the file at `path` is this jar, byte for byte."""
        try:
            content = path.read_bytes()
        except OSError:
            return False
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def kafka_jars() -> tuple[Jar, ...]:
    """The jars that make up the broker, as pinned in kafka_jars.txt."""
    text = resources.files(__package__).joinpath("kafka_jars.txt").read_text()
    return tuple(_jar(line) for line in text.splitlines() if not line.startswith("#"))


def _jar(line: str) -> Jar:
    coordinates, sha256, size = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256, int(size))


def default_cache() -> Path:
    """Where the jars are kept between runs: in the user's cache folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "maskline" / f"kafka-{KAFKA_VERSION}"


def class_path(*, console: Console, cache: Path, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Give the files of Kafka's class path, fetching first what is missing or damaged.

    Raises:
        FetchError: something is missing and couldn't be fetched.
    """
    jars = kafka_jars() if jars is None else jars
    if _lacking(jars, cache):
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache, console), tempfile.TemporaryDirectory(dir=cache) as arriving:
            # What another process fetched while we waited for the lock is no longer lacking.
            _fetch(_lacking(jars, cache), cache, Path(arriving), console)
    return [cache / jar.name for jar in jars]


def _lacking(jars: Sequence[Jar], cache: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.is_whole(cache / jar.name)]


@contextmanager
def _lock(cache: Path, console: Console) -> Iterator[None]:
    with (cache / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another process is fetching Apache Kafka; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(jars: Sequence[Jar], cache: Path, arriving: Path, console: Console) -> None:
    for damaged in (jar.name for jar in jars if (cache / jar.name).exists()):
        console.print(f"{damaged} in the cache is damaged; it is fetched again.")
    if not jars:
        return
    with DownloadProgress(
        f"Apache Kafka {KAFKA_VERSION}", sum(jar.size for jar in jars), console
    ) as shown:
        stopping = Event()
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for path in pool.map(lambda jar: _fetch_jar(jar, arriving, shown, stopping), jars):
                path.replace(cache / path.name)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


def _fetch_jar(jar: Jar, arriving: Path, shown: DownloadProgress, stopping: Event) -> Path:
    """Fetch one jar, whole, into `arriving`."""

    @contextmanager
    def progress(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        def advance(count: int) -> None:
            if stopping.is_set():
                raise InterruptedError
            shown.advance(count)

        yield advance

    for tries_left in reversed(range(_TRIES)):
        try:
            path = _download(jar, arriving, progress)
        except (OSError, RuntimeError) as error:
            if tries_left == 0 or stopping.is_set():
                raise FetchError(_refusal(jar, error)) from error
            continue
        if jar.is_whole(path):
            return path
        path.unlink()
    raise FetchError(
        f"{jar.name} arrived {_TRIES} times with a checksum that is not the pinned one. "
        "Something between here and the repository changes what it delivers."
    )


def _download(
    jar: Jar,
    arriving: Path,
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
) -> Path:
    # Here and not above: jgo takes a third of a second to import, and only a first run needs it.
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    mirrors = GlobalSettings.load().repositories
    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=arriving,
        local_repos=[],
        remote_repos=mirrors or {"central": MAVEN_CENTRAL_URL},
        timeout=30,
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    (arriving / artifact.component.path_prefix / jar.name).unlink(missing_ok=True)  # half of a try
    return Path(artifact.resolve())


def _refusal(jar: Jar, error: Exception) -> str:
    url = getattr(getattr(error, "request", None), "url", None)
    return (
        f"Apache Kafka {KAFKA_VERSION} could not be fetched: {url or jar.name}: {error}\n"
        "It is needed once (about 44 MB) to run a real Kafka on this machine; later runs take it "
        f"from {default_cache()}.\n"
        "Check the network (behind a proxy: HTTPS_PROXY; behind a mirror: [repositories] in "
        "~/.config/jgo.conf), or copy that folder from a machine that has it."
    )
