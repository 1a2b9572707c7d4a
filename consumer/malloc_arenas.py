"""Settings of glibc's malloc that keep resident memory where it is (docs/memory.md).

Each thread gets an arena of its own, and each arena keeps as much as the largest photo that it has
ever held: a consumer with twenty threads would grow for thousands of jobs. Blocks of up to 32 MiB
are kept, too, once one of that size was freed: the bodies of callbacks that nobody read.
"""

import ctypes
import os
import platform

ARENAS = 2
RETURNED_BYTES = 16 * 1024 * 1024
"""A block of this size or larger goes back to the system when it is freed."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h


def limit() -> bool:
    """Make malloc share two arenas and return large blocks; say whether arenas were limited.

    It holds for the threads to come. It isn't done where another C library is in use. What
    MALLOC_ARENA_MAX or MALLOC_MMAP_THRESHOLD_ sets is left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        mallopt(_M_MMAP_THRESHOLD, RETURNED_BYTES)
        # Twice the other, as malloc has it by itself. Without this it would be 128 KiB from now on,
        # and each photo would ask the system for its memory anew.
        mallopt(_M_TRIM_THRESHOLD, 2 * RETURNED_BYTES)
    return "MALLOC_ARENA_MAX" not in os.environ and bool(mallopt(_M_ARENA_MAX, ARENAS))
