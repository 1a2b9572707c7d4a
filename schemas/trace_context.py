"""W3C trace context, copied from the job record to the callback and to every status event."""

import re
from collections.abc import Sequence

HEADER = "traceparent"
PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
"""The beginning of a value. Later versions of W3C Trace Context may add fields after it."""

_VALUE = re.compile((PATTERN.removeprefix("^") + "(-[!-~]{0,256})?").encode())


def traceparent(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """Return the trace context in a record's headers, or None if there is no valid one."""
    for name, value in headers:
        if name == HEADER and value and _VALUE.fullmatch(value):
            return value.decode()
    return None
