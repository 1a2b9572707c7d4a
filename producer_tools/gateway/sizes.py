"""Sizes and durations as the answers write them."""

MEGABYTE = 1_048_576
_MINUTE, _HOUR = 60, 3600


def megabytes(size: int) -> str:
    """Write a size in MB: `10MB`, `15.2MB`."""
    return f"{round(size / MEGABYTE, 1):g}MB"


def duration(seconds: int) -> str:
    """Write a duration in the largest unit that divides it: `1 hour`, `90 seconds`."""
    for length, unit in ((_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds and seconds % length == 0:
            return _counted(seconds // length, unit)
    return _counted(seconds, "second")


def _counted(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"
