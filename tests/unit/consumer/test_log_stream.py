"""Nobody waits for stderr: not when it hangs, is full, or is closed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from consumer.telemetry import log, log_stream
from consumer.telemetry.log_stream import MOST_BYTES, LogStream
from tests.support.own_logging import own_logging

LINE = "x" * 1000 + "\n"
FAR_TOO_MANY = 5 * MOST_BYTES // len(LINE)
CONSUMER = (sys.executable, "-m", "consumer")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the process its own logging back."""
    with own_logging():
        yield


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's ends: to read, to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    """And all of them are, before it is closed."""
    with LogStream(pipe[1]):
        for number in range(100):
            print(number, file=sys.stderr)
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0])) as reader:
        assert reader.read().split() == [str(number) for number in range(100)]


def test_a_reader_that_hangs_holds_nobody_up(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a writer nor the end; lines are counted, and those that wait have a limit."""
    monkeypatch.setattr(log_stream, "CLOSE_SECONDS", 0.1)
    dropped: list[None] = []
    done = threading.Event()

    def write() -> None:
        with LogStream(pipe[1]) as stream:
            stream.count_drops(lambda: dropped.append(None))
            for _ in range(FAR_TOO_MANY):
                sys.stderr.write(LINE)
        done.set()

    before = sys.stderr
    threading.Thread(target=write, daemon=True).start()
    try:
        assert done.wait(30)
    finally:
        sys.stderr = before
    assert FAR_TOO_MANY // 2 < len(dropped) < FAR_TOO_MANY


def test_a_reader_that_comes_back_is_told_what_is_missing(pipe: tuple[int, int]) -> None:
    """Once, after the first line that goes through."""
    with LogStream(pipe[1]) as stream:
        log.configure("INFO", "console")
        for _ in range(FAR_TOO_MANY):
            stream.write(LINE)
        with os.fdopen(os.dup(pipe[0])) as reader:
            told = next(line for line in reader if "lines.dropped" in line)
            stream.write("the next\n")
            assert next(line for line in reader if line == "the next\n")
    assert "count=" in told


@pytest.mark.parametrize("trouble", ["closed", "full", "nobody"])
def test_a_stderr_that_fails_ends_nothing(trouble: str, pipe: tuple[int, int]) -> None:
    """Each line that can't be written is counted."""
    dropped = threading.Semaphore(0)
    end = os.open("/dev/full", os.O_WRONLY) if trouble == "full" else os.dup(pipe[1])
    if trouble == "nobody":
        os.close(pipe[0])
    with LogStream(end) as stream:
        if trouble == "closed":
            os.close(end)
        stream.count_drops(dropped.release)
        for _ in range(3):
            stream.write(LINE)
            assert dropped.acquire(timeout=10)
    if trouble != "closed":
        os.close(end)


def test_a_descriptor_that_must_not_be_waited_for_is_waited_for(pipe: tuple[int, int]) -> None:
    """Whoever shares a terminal may have made it so; no line is lost by that."""
    os.set_blocking(pipe[1], False)
    lines = MOST_BYTES // len(LINE) // 2
    with LogStream(pipe[1]) as stream:
        for _ in range(lines):
            stream.write(LINE)
        with os.fdopen(os.dup(pipe[0])) as reader:
            for _ in range(lines):
                assert reader.readline() == LINE


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>&1 >&- | true", "<&- >&- 2>&-"])
def test_a_consumer_that_cannot_say_why_it_ends_still_ends(stderr: str) -> None:
    """With the exit code that says it."""
    shell = ["bash", "-c", f'set -o pipefail; "$@" {stderr}', "bash", *CONSUMER]
    environment = {**os.environ, "LOG_LEVEL": "loud"}
    assert subprocess.run(shell, env=environment, timeout=60, check=False).returncode == 2


def test_a_consumer_whose_words_nobody_reads_still_ends(pipe: tuple[int, int]) -> None:
    """Though the pipe is full before it begins."""
    os.set_blocking(pipe[1], False)
    try:
        while True:
            os.write(pipe[1], b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(pipe[1], True)
    begin = time.monotonic()
    environment = {**os.environ, "LOG_LEVEL": "loud"}
    ended = subprocess.run(CONSUMER, stderr=pipe[1], env=environment, timeout=60, check=False)
    assert ended.returncode == 2
    assert time.monotonic() - begin < 30
