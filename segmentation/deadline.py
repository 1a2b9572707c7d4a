"""The time that one photo's decoding, inference and masks may take together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic

from segmentation.errors import DeadlineExceeded


class Deadline:
    """Ends work in a thread: by its own clock between steps, from outside in the middle of one.

    Thread-safe. The clock starts when it is made. One deadline belongs to one `segment` call;
    `expire` may come from any thread, at any time, more than once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._expired = False
        self._stop: Callable[[], None] | None = None
        self._lock = Lock()

    def check(self) -> None:
        """Return while there is time.

        Raises:
            DeadlineExceeded: The time is over, or `expire` was called.
        """
        if self._expired or monotonic() >= self._end:
            raise self._exceeded()

    def remaining(self) -> float:
        """Seconds that are left, 0 when none are."""
        return 0.0 if self._expired else max(0.0, self._end - monotonic())

    def expire(self) -> None:
        """End the work now: stop a running inference, and let every later `check` raise."""
        with self._lock:
            self._expired = True
            stop = self._stop
        if stop is not None:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """While inside, `expire` calls `stop`, which must end the step that is under way.

        Raises:
            DeadlineExceeded: The deadline had passed before, or `expire` ended the step.
        """
        with self._lock:
            self._stop = stop
        try:
            self.check()
            yield
        except Exception as error:
            # A step that was stopped fails in its library's own way: the cause is the deadline.
            if self._expired and not isinstance(error, DeadlineExceeded):
                raise self._exceeded() from error
            raise
        finally:
            with self._lock:
                self._stop = None

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"The photo took longer than the {self._seconds:g} s that it may.")
