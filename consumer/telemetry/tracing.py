"""Traces of jobs, as everybody but OpenTelemetry's own module sees them; here they are off.

A `Trace` is one attempt at a job, from its record to its terminal event; or a job's submission, or
an HTTP request. While traces are off, all of them are one object that does nothing.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

Value = str | int | float | bool


class Span:
    """One step of a job; this one is nothing."""

    traceparent: str | None = None
    """The context for whoever is asked in this step; None where there is none."""

    def note(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name is a dot."""

    def fail(self, error_type: str) -> None:
        """Say how the step failed: an error code, a status, or the name of an exception."""


class Trace(Span):
    """One attempt at a job, one submission, or one request; this one is nothing."""

    ids: Mapping[str, str] = {}
    """What log lines carry of it."""

    def rename(self, name: str) -> None:
        """Give it another name."""

    def current(self) -> AbstractContextManager[object]:
        """Let steps in the block belong to it."""
        return _NOTHING

    def step(self, name: str, *, kind: str = "internal", **attributes: Value) -> "Step":
        """Time the block as a step; an exception fails it."""
        del name, kind, attributes
        return _NO_STEP

    def stages(self, milliseconds: Mapping[str, float]) -> None:
        """Show stages that have just ended, one after the other."""

    def tell(self, event: str, **attributes: Value) -> None:
        """Show that something happened at this moment."""

    def repeats(self, how: str) -> None:
        """Link it to the original, which a `replay` or a `redrive` repeats."""

    def end(self) -> None:
        """End it now."""

    def settle(self, *, seconds: float, jobs: int) -> None:
        """End it with its terminal event, in a transaction of so many jobs and seconds."""

    def abandon(self) -> None:
        """End it without a terminal event: another attempt will follow."""


Step = AbstractContextManager[Span]
NO_TRACE = Trace()
_NOTHING: AbstractContextManager[object] = nullcontext()
_NO_STEP: Step = nullcontext(Span())


class Tracing:
    """Makes traces; this one makes none."""

    def attempt(self, topic: str, *, parent: str | None, **facts: Value) -> Trace:
        """Begin the trace of an attempt at a job of the topic; `parent` is its traceparent."""
        del topic, parent, facts
        return NO_TRACE

    def submission(self, topic: str, *, parent: str | None) -> Trace:
        """Begin the trace of a job that is submitted."""
        del topic, parent
        return NO_TRACE

    def request(self, method: str, path: str, *, parent: str | None) -> Trace:
        """Begin the trace of an HTTP request that is served; `parent` is the caller's."""
        del method, path, parent
        return NO_TRACE

    def close(self) -> None:
        """Send what is left, within a moment."""


NO_TRACING = Tracing()
