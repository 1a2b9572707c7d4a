"""What Kafka, S3 and the mask-asset service have in common here: a process with a port."""

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
    """A server in a process of its own; `with` it, and it is ready inside and gone after.

    Args:
        port: None chooses a free one.
        folder: Where its data and log are kept, also afterwards; None takes a temporary folder.

    Attributes:
        port: Where it listens; 0 before it is launched.

    Raises:
        LocalStackError: on entering, when it can't be had; the message says what to do.
    """

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 120.0  # on a busy machine; 4 on an idle one
    stop_seconds: ClassVar[float] = 15.0

    def __init__(self, *, port: int | None = None, folder: Path | None = None) -> None:
        self.port = 0
        self._wanted_port = port
        self._wanted_folder = folder
        self._folder: Path | None = None
        self._child: Child | None = None

    @abstractmethod
    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the program and its arguments; `first` says that its folder is new."""

    def environment(self) -> dict[str, str] | None:
        """Give the program's environment; None is ours."""
        return None

    @property
    def folder(self) -> Path:
        """Where its data and log are."""
        if self._folder is None:
            raise RuntimeError(f"{self.name} isn't running")
        return self._folder

    @property
    def log(self) -> Path:
        """The file that its words go to."""
        return self.folder / f"{self.name.lower().replace(' ', '-')}.log"

    @property
    def child(self) -> Child:
        """Its process."""
        if self._child is None:
            raise RuntimeError(f"{self.name} isn't running")
        return self._child

    def launch(self) -> None:
        """Start it without waiting for it, so that several can start side by side."""
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
        """Return when it accepts connections."""
        self.child.wait_until(lambda: ports.is_open(self.port), seconds=self.start_seconds)

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        self.child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause` (SIGCONT)."""
        self.child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL; its folder stays for `restart`."""
        self.child.kill()

    def restart(self) -> None:
        """Start it again on the same folder and port, ending it cleanly first if it runs."""
        self.child.stop(seconds=self.stop_seconds)
        self._start(first=False)
        self.wait_ready()

    def stop(self) -> None:
        """End it cleanly, and remove its folder if that was a temporary one."""
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
