"""A program that runs beside us and never outlives us."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from producer_tools.local.errors import DiedAtStartError, NotReadyError

# The program's own process id goes through the pipe before it starts, and the pipe's other ends
# are ours alone. So however we end, SIGKILL included, the watchdog reads the end of the pipe and
# ends the program's whole group. (Linux's PR_SET_PDEATHSIG would follow our thread, not our
# process, and macOS has none.)
_LAUNCH = 'echo $$ >&0; exec "$@" </dev/null'
_WATCHDOG = (
    'read -r pid; while read -r _; do :; done; kill -KILL "-$pid"; '
    'if [ -n "$1" ]; then rm -rf -- "$1"; fi'
)

_TAIL_LINES = 30
_POLL_SECONDS = 0.02


class Child:
    """A program in a process group of its own, its output in a log file, dead when we are.

    It is launched without waiting, so that several can start side by side; `wait_until` waits.
    Ctrl-C in a terminal reaches us alone: we stop our children in order.

    Attributes:
        name: What people call it, for messages.
        log: The file that its output is appended to.
    """

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
            return subprocess.Popen(  # noqa: S603 - the command is ours, without a shell's words
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
        """Whether the program has not ended."""
        return self._program.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready()` holds.

        Raises:
            DiedAtStartError: the program ended first.
            NotReadyError: `seconds` went by first.
        """
        end = time.monotonic() + seconds
        while not ready():
            if (returncode := self._program.poll()) is not None:
                raise DiedAtStartError(self.name, returncode, self.log_tail())
            if time.monotonic() > end:
                raise NotReadyError(self.name, seconds, self.log_tail())
            time.sleep(_POLL_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's whole group; nothing happens once it has ended."""
        if self.running:
            os.killpg(self.pid, number)

    def stop(self, *, seconds: float = 10.0) -> None:
        """End the program: SIGTERM, and SIGKILL if it takes longer than `seconds`."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            self._program.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the program with SIGKILL, paused or not, and return when it is gone."""
        self.signal(signal.SIGKILL)
        self._program.wait()
        self._dismiss_watchdog()

    def _dismiss_watchdog(self) -> None:
        if self._pipe >= 0:
            self._watchdog.kill()
            self._watchdog.wait()
            os.close(self._pipe)
            self._pipe = -1

    def log_tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(empty)"
