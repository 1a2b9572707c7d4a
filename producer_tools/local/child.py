"""A child process that ends when this process ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from producer_tools.local.errors import DiedAtStartError, NotReadyError

# A watchdog process ends the program. It reads the program's process id from a pipe whose write end
# only this process has. If this process ends in any way, SIGKILL included, the watchdog reads the
# end of the pipe and kills the program's process group. (Linux's PR_SET_PDEATHSIG depends on our
# thread, not on our process, and macOS doesn't have it.)
_LAUNCH = 'echo $$ >&0; exec "$@" </dev/null'
_WATCHDOG = (
    'read -r pid; while read -r _; do :; done; kill -KILL "-$pid"; '
    'if [ -n "$1" ]; then rm -rf -- "$1"; fi'
)

_TAIL_LINES = 30
_POLL_SECONDS = 0.02


class Child:
    """A program in a process group of its own, with its output in a log file.

    It ends when this process ends. The constructor doesn't wait for it, so that several programs
    can start at the same time; `wait_until` waits. Ctrl-C in a terminal doesn't reach the program,
    so that this process can stop its children in order.
    """

    name: str
    """Its name in messages."""
    log: Path
    """The file to which its output is appended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._env = None if env is None else dict(env)
        self._scratch = scratch
        pipe_read, self._pipe = os.pipe()
        try:
            self._watchdog = self._start_watchdog(pipe_read)
            self._program = self._start_program()
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(pipe_read)

    def _start_watchdog(self, pipe_read: int) -> subprocess.Popen[bytes]:
        scratch = "" if self._scratch is None else str(self._scratch)
        return subprocess.Popen(  # noqa: S603 - as below
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", scratch],
            stdin=pipe_read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _start_program(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the command is ours, and no shell interprets it
                ["/bin/sh", "-c", _LAUNCH, "launch", *self._command],
                stdin=self._pipe,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._program.pid

    @property
    def running(self) -> bool:
        """Whether the program is running."""
        return self._program.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready()` returns True.

        Raises:
            DiedAtStartError: The program ended first.
            NotReadyError: It took longer than `seconds`.
        """
        end = time.monotonic() + seconds
        while not ready():
            if (returncode := self._program.poll()) is not None:
                raise DiedAtStartError(self.name, returncode, self.log_tail())
            if time.monotonic() > end:
                raise NotReadyError(self.name, seconds, self.log_tail())
            time.sleep(_POLL_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's process group. Do nothing if the program has ended."""
        if self.running:
            os.killpg(self.pid, number)

    def stop(self, *, seconds: float = 10.0) -> None:
        """End the program with SIGTERM, or with SIGKILL if it takes longer than `seconds`."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            self._program.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the program with SIGKILL, also if it is paused. Return when it has ended."""
        self.signal(signal.SIGKILL)
        self._program.wait()
        self._stop_watchdog()

    def _stop_watchdog(self) -> None:
        if self._pipe >= 0:
            self._watchdog.kill()
            self._watchdog.wait()
            os.close(self._pipe)
            self._pipe = -1

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(empty)"
