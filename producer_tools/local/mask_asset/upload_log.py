"""What the mask-asset service remembers of its uploads."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from starlette.requests import Request

from producer_tools.local.mask_asset.multipart import Form


@dataclass(frozen=True)
class Upload:
    """One line of the log: an upload as it came and the answer that it got.

    Attributes:
        number: Counts all uploads, from 0.
        time: When it had arrived, seconds since the epoch.
        job_id: As its form said; null when the form couldn't be read.
        user_id: Likewise.
        provider: Likewise.
        idempotency_key: Its header.
        traceparent: Its header.
        sizes: Bytes by file name; null when the form couldn't be read.
        status: The HTTP status that was answered.
        misbehaved: The mode of the rule that decided the answer, if one did.
        duplicate: Whether its Idempotency-Key had come before.
    """

    number: int
    time: float
    job_id: str | None
    user_id: str | None
    provider: str | None
    idempotency_key: str | None
    traceparent: str | None
    sizes: dict[str, int] | None
    status: int
    misbehaved: str | None
    duplicate: bool


class UploadLog:
    """The latest uploads, and counts of all.

    Args:
        remembered: How many uploads are kept.
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
        """Remember an upload and its answer."""
        fields = form.fields if form else {}
        self._latest.append(
            Upload(
                number=self.counters["uploads"],
                time=arrived,
                job_id=fields.get("job_id"),
                user_id=fields.get("user_id"),
                provider=fields.get("provider"),
                idempotency_key=request.headers.get("idempotency-key"),
                traceparent=request.headers.get("traceparent"),
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
        """Give the uploads from number `first` on, each as a line of JSON."""
        for upload in self._latest:
            if upload.number >= first:
                yield f"{json.dumps(asdict(upload))}\n"
