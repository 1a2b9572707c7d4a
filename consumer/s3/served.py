"""What S3 serves: the objects that were fetched lately, and those that jobs still wait for."""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.job import ImageReference

_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object that was fetched whole."""

    reference: ImageReference
    size: int
    at: float
    """Seconds of `time.monotonic`."""


class Served:
    """Tells one object's trouble from S3's: did, and does, S3 give others?"""

    def __init__(self) -> None:
        self._fetched: OrderedDict[ImageReference, Fetched] = OrderedDict()
        self._wanted: Counter[ImageReference] = Counter()

    def note(self, reference: ImageReference, *, size: int) -> None:
        """Note an object that was fetched whole."""
        self._fetched[reference] = Fetched(reference, size, time.monotonic())
        self._fetched.move_to_end(reference)
        if len(self._fetched) > _REMEMBERED:
            self._fetched.popitem(last=False)

    def forget(self, reference: ImageReference) -> None:
        """Forget an object that is gone."""
        self._fetched.pop(reference, None)

    def others(self, than: ImageReference) -> list[Fetched]:
        """Give the other objects that were fetched lately, the latest first."""
        return [
            fetched for reference, fetched in reversed(self._fetched.items()) if reference != than
        ]

    @contextmanager
    def wanted(self, reference: ImageReference) -> Iterator[None]:
        """Note that a job wants this object and hasn't got it, while the block lasts."""
        self._wanted[reference] += 1
        try:
            yield
        finally:
            self._wanted[reference] -= 1
            self._wanted += Counter()  # drops what nobody wants

    def is_wanted_alone(self, reference: ImageReference) -> bool:
        """Whether no job waits for any other object."""
        return not self._wanted.keys() - {reference}
