"""The mask-asset service's log of its uploads."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from starlette.requests import Request

from producer_tools.local.mask_asset.multipart import Form
from schemas import trace_context
from schemas.callback import IDEMPOTENCY_HEADER


@dataclass(frozen=True)
class Upload:
    """One line of the log: an upload, and the response to it."""

    number: int
    """Number of the upload, counted from 0."""
    time: float
    """When it arrived, in seconds since the epoch."""
    job_id: str | None
    """The form's field. None if the form couldn't be parsed."""
    user_id: str | None
    """The form's field. None if the form couldn't be parsed."""
    provider: str | None
    """The form's field. None if the form couldn't be parsed."""
    idempotency_key: str | None
    """The request's header."""
    traceparent: str | None
    """The request's header."""
    sizes: dict[str, int] | None
    """Length in bytes of each file. None if the form couldn't be parsed."""
    status: int
    """The HTTP status of the response."""
    misbehaved: str | None
    """The mode of the misbehaviour that decided the response, if there was one."""
    duplicate: bool
    """Whether an earlier upload had the same idempotency key."""


class UploadLog:
    """The latest uploads, and counters of all uploads.

    Args:
        remembered: The number of uploads to keep.
    """

    def __init__(self, remembered: int) -> None:
        self._latest: deque[Upload] = deque(maxlen=remembered)
        self.counters = Counter(uploads=0, stored=0, duplicates=0, refused=0, misbehaved=0)

    def note(
        self,
        request: Request,
        form: Form | None,
        *,
        arrived: float,
        status: int,
        misbehaved: str | None = None,
        duplicate: bool = False,
    ) -> None:
        """Add an upload and the response to it."""
        fields = form.fields if form else {}
        self._latest.append(
            Upload(
                number=self.counters["uploads"],
                time=arrived,
                job_id=fields.get("job_id"),
                user_id=fields.get("user_id"),
                provider=fields.get("provider"),
                idempotency_key=request.headers.get(IDEMPOTENCY_HEADER),
                traceparent=request.headers.get(trace_context.HEADER),
                sizes={name: len(png) for name, png in form.files.items()} if form else None,
                status=status,
                misbehaved=misbehaved,
                duplicate=duplicate,
            )
        )
        self.counters["uploads"] += 1
        self.counters["misbehaved"] += misbehaved is not None
        self.counters["duplicates"] += duplicate

    def lines(self, first: int) -> Iterator[str]:
        """Yield the uploads from number `first` on, each as a line of JSON."""
        for upload in self._latest:
            if upload.number >= first:
                yield f"{json.dumps(asdict(upload))}\n"
