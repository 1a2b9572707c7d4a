"""What a caller gets instead of an answer: a status, one sentence, and what else to know."""

from collections.abc import Callable

from fastapi.responses import JSONResponse


class Refused(Exception):
    """A request that isn't served. The gateway answers `{"detail": "<sentence>"}`."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def response(self, hide: Callable[[str], str] = str) -> JSONResponse:
        """Return it as an answer, its sentence without secrets."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse({"detail": hide(self.detail)}, status_code=self.status, headers=headers)


def bad(detail: str) -> Refused:
    """Return the refusal of an input that is wrong."""
    return Refused(400, detail)


def unavailable(detail: str) -> Refused:
    """Return the refusal while a service is away."""
    return Refused(503, detail, retry_after=5)


def no_room(detail: str) -> Refused:
    """Return the refusal while a disk is full."""
    return Refused(507, detail, retry_after=60)
