"""What libraries would read of the environment, and must not: removed before they are imported.

They would write files, put TLS keys on a disk, or end the process over a number that they can't
read. None of it is a setting of ours (docs/operating.md).
"""

import os

from consumer.errors import StartError

IGNORED = (
    "NUMPY_MADVISE_HUGEPAGE",
    "PILLOW_ALIGNMENT",
    "PILLOW_BLOCKS_MAX",
    "PILLOW_BLOCK_SIZE",
    "PROMETHEUS_MULTIPROC_DIR",
    "SSLKEYLOGFILE",
    "WEB_CONCURRENCY",
    "prometheus_multiproc_dir",
)

for _name in IGNORED:
    os.environ.pop(_name, None)


def check() -> None:
    """Return where Python runs as the program needs it; else raise `StartError`."""
    if not __debug__:
        raise StartError(
            "PYTHONOPTIMIZE takes away checks by which Kafka's client notices its own faults;"
            " leave it unset",
            exit_code=2,
        )
