"""A time limit for decoding, inference and masks of one photo together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic

from segmentation.errors import DeadlineExceeded


class Deadline:
    """Ends work in a thread: between two steps when the time is over, or within a step by `expire`.

    Thread-safe. The time starts when the deadline is created. Each `segment` call has a deadline of
    its own. Any thread may call `expire`, at any time and more than once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._expired = False
        self._stop: Callable[[], None] | None = None
        self._lock = Lock()

    def check(self) -> None:
        """Return if there is time left.

        Raises:
            DeadlineExceeded: The time is over, or `expire` was called.
        """
        if self._expired or monotonic() >= self._end:
            raise self._exceeded()

    def remaining(self) -> float:
        """Return the seconds that are left, at least 0."""
        return 0.0 if self._expired else max(0.0, self._end - monotonic())

    def expire(self) -> None:
        """End the work now: stop a running inference, and make every later `check` raise."""
        with self._lock:
            self._expired = True
            stop = self._stop
        if stop is not None:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Inside the context, `expire` calls `stop`, which must end the current step.

        Raises:
            DeadlineExceeded: The time was over before the step, or `expire` ended it.
        """
        with self._lock:
            self._stop = stop
        try:
            self.check()
            yield
        except Exception as error:
            # A step that was stopped raises an exception of its library. The cause is the deadline.
            if self._expired and not isinstance(error, DeadlineExceeded):
                raise self._exceeded() from error
            raise
        finally:
            with self._lock:
                self._stop = None

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"The photo took longer than the {self._seconds:g} s that it may.")
