"""glibc's malloc with few arenas, so that resident memory stays where it is (docs/memory.md).

Each thread gets an arena of its own, and each arena keeps as much as the largest photo that it has
ever held: a consumer with twenty threads would grow for thousands of jobs.
"""

import ctypes
import os
import platform

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h


def limit() -> bool:
    """Make malloc share two arenas among the threads to come; return whether that was done.

    It isn't done where another C library is in use, or where MALLOC_ARENA_MAX is set.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
