"""W3C trace context, carried from the job record to the callback and every status event."""

import re
from collections.abc import Sequence
from typing import Final

HEADER: Final = "traceparent"
PATTERN: Final = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
"""What a value begins with; a later version of the specification may add to it."""

_VALUE: Final = re.compile((PATTERN.removeprefix("^") + "(-[!-~]{0,256})?").encode())


def traceparent(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """Give the trace context of a record's headers, where there is a valid one."""
    for name, value in headers:
        if name == HEADER and value and _VALUE.fullmatch(value):
            return value.decode()
    return None
