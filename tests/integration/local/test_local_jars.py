"""Kafka's jars are fetched once, whole or not at all, and mended when they are damaged."""

import hashlib
import io
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from producer_tools.local.errors import FetchError
from producer_tools.local.kafka import jars

pytestmark = pytest.mark.integration

CONTENT = {f"part{number}": f"the jar number {number} ".encode() * 5_000 for number in range(3)}
JARS = [
    jars.Jar("org.example", name, "1.0", hashlib.sha256(content).hexdigest(), len(content))
    for name, content in CONTENT.items()
]


class Repository(ThreadingHTTPServer):
    """A Maven repository of three jars that counts requests, and cuts or falsifies answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.false: set[str] = set()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """One request to the repository."""

    server: Repository

    def do_GET(self) -> None:
        """Answer a jar, whole, cut or falsified; nothing else is there."""
        name = self.path.split("/")[-3]
        if not self.path.endswith(".jar"):
            self.send_error(404)
            return
        self.server.asked[name] += 1
        content = CONTENT[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.cut[name]:
            self.server.cut[name] -= 1
            content = content[: len(content) // 2]
        if name in self.server.false:
            content = content[::-1]
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository that jgo is set up to use."""
    with Repository() as server:
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\nours = {server.url}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def printed() -> io.StringIO:
    """What the console shows."""
    return io.StringIO()


@pytest.fixture
def console(printed: io.StringIO) -> Console:
    """A console that is no terminal."""
    return Console(file=printed, width=200)


def contents(files: list[Path]) -> list[bytes]:
    """What is in the files."""
    return [file.read_bytes() for file in files]


def test_jars_are_fetched_once(
    repository: Repository, tmp_path: Path, console: Console, printed: io.StringIO
) -> None:
    """The second time sends no request and prints nothing."""
    for _ in range(2):
        files = jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    assert contents(files) == list(CONTENT.values())
    assert repository.asked == {"part0": 1, "part1": 1, "part2": 1}
    assert printed.getvalue().count("Fetching Apache Kafka 4.3.0 (about") == 1


def test_a_damaged_jar_alone_is_fetched_again(
    repository: Repository, tmp_path: Path, console: Console, printed: io.StringIO
) -> None:
    """Half a file in the cache is noticed by its checksum, named and replaced."""
    files = jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    files[1].write_bytes(CONTENT["part1"][:1000])
    jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    assert contents(files) == list(CONTENT.values())
    assert repository.asked == {"part0": 1, "part1": 2, "part2": 1}
    assert "part1-1.0.jar in the cache is damaged" in printed.getvalue()


def test_a_cut_download_is_tried_again(
    repository: Repository, tmp_path: Path, console: Console
) -> None:
    """A connection that ends half-way twice is no failure yet."""
    repository.cut["part2"] = 2
    files = jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    assert contents(files) == list(CONTENT.values())
    assert repository.asked["part2"] == 3


def test_a_falsified_jar_never_enters_the_cache(
    repository: Repository, tmp_path: Path, console: Console
) -> None:
    """The right size with the wrong checksum is refused."""
    repository.false.add("part0")
    with pytest.raises(FetchError, match=r"part0-1\.0\.jar .*checksum"):
        jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    assert not (tmp_path / "cache" / JARS[0].name).exists()


def test_without_network_the_message_has_what_to_do(
    repository: Repository, tmp_path: Path, console: Console
) -> None:
    """What couldn't be reached, what for, and what helps."""
    repository.server_close()
    with pytest.raises(FetchError) as caught:
        jars.class_path(console=console, cache=tmp_path / "cache", jars=JARS)
    message = str(caught.value)
    assert repository.url in message
    assert "needed once" in message
    assert "HTTPS_PROXY" in message


def test_first_runs_at_once_share_one_download(
    repository: Repository, tmp_path: Path, console: Console, printed: io.StringIO
) -> None:
    """The others wait for the first, and then find everything."""
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(jars.class_path, console=console, cache=tmp_path / "cache", jars=JARS)
            for _ in range(4)
        ]
    assert [contents(run.result()) for run in runs] == [list(CONTENT.values())] * 4
    assert repository.asked == {"part0": 1, "part1": 1, "part2": 1}


def test_the_pinned_jars_are_kafkas() -> None:
    """The list that is packaged reads, and has the broker in it."""
    pinned = jars.kafka_jars()
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in {jar.name for jar in pinned}
    assert 40_000_000 < sum(jar.size for jar in pinned) < 50_000_000
