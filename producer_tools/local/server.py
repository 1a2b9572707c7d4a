"""The base class of the local Kafka, S3 and mask-asset service: a process with a port."""

import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from producer_tools.local import ports
from producer_tools.local.child import Child


class LocalServer(ABC):
    """A server in a process of its own.

    As a context manager it starts the server, waits until it is ready, and ends it on leaving.

    Args:
        port: None chooses a free port.
        folder: The folder for its data and log. It is kept. None: a temporary folder.

    Raises:
        LocalStackError: The server can't start. The message states what to do.
    """

    name: ClassVar[str]
    """Its name in messages, and in the name of its log file."""
    start_seconds: ClassVar[float] = 120.0
    """The longest that a start may take on a busy machine. An idle one takes 4 s."""
    stop_seconds: ClassVar[float] = 15.0
    """The longest that it may take to end after SIGTERM."""
    port: int
    """The port on which it listens. 0 before its launch."""

    def __init__(self, *, port: int | None = None, folder: Path | None = None) -> None:
        self.port = 0
        self._wanted_port = port
        self._wanted_folder = folder
        self._folder: Path | None = None
        self._child: Child | None = None

    @abstractmethod
    def command(self, *, first: bool) -> tuple[str, ...]:
        """Return the program and its arguments. `first` is False for a restart."""

    def environment(self) -> dict[str, str] | None:
        """Return the program's environment. None: our own."""
        return None

    @property
    def folder(self) -> Path:
        """The folder with its data and log."""
        if self._folder is None:
            raise RuntimeError(f"{self.name} isn't running")
        return self._folder

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / f"{self.name.lower().replace(' ', '-')}.log"

    @property
    def child(self) -> Child:
        """Its process."""
        if self._child is None:
            raise RuntimeError(f"{self.name} isn't running")
        return self._child

    def launch(self) -> None:
        """Start it without waiting, so that several servers can start at the same time."""
        self.port = ports.choose(
            self.name, self._wanted_port, setting=f"{type(self).__name__}(port=…)"
        )
        if self._wanted_folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="maskline-"))
        else:
            self._folder = self._wanted_folder
            self._folder.mkdir(parents=True, exist_ok=True)
        self._start(first=True)

    def _start(self, *, first: bool) -> None:
        self._child = Child(
            self.name,
            self.command(first=first),
            log=self.log,
            env=self.environment(),
            scratch=self.folder if self._wanted_folder is None else None,
        )

    def wait_ready(self) -> None:
        """Wait until it accepts connections."""
        self.child.wait_until(lambda: ports.is_open(self.port), seconds=self.start_seconds)

    def pause(self) -> None:
        """Freeze it (SIGSTOP). Its connections stay open, but it doesn't respond."""
        self.child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after `pause` (SIGCONT)."""
        self.child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL. Its folder is kept for `restart`."""
        self.child.kill()

    def restart(self) -> None:
        """Start it again with the same folder and port. If it runs, end it first with SIGTERM."""
        self.child.stop(seconds=self.stop_seconds)
        self._start(first=False)
        self.wait_ready()

    def stop(self) -> None:
        """End it with SIGTERM, and remove its folder if that is a temporary one."""
        if self._child is not None:
            self._child.stop(seconds=self.stop_seconds)
            self._child = None
        if self._folder is not None and self._wanted_folder is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
