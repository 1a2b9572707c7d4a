"""What holds for every test."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from producer_tools.local import ports

# A shell starts its background jobs with SIGINT ignored, and nohup ignores SIGHUP. A child would
# inherit that, and the tests that send them would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes depends on what else the machine does.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# `make test` runs several processes at once. Each chooses among ports of its own: a port that is
# chosen is free, and taken only when its server has started.
if worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
    processes = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    ports._CHOICE = ports._CHOICE[int(worker) % processes :: processes]

# In this order, so that no process is left with minutes of work when the others have ended.
_LONGEST_FIRST = ("tests/integration/laboratory/", "tests/e2e/", "tests/integration/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files begin first whose tests take longest."""
    items.sort(key=lambda item: [not item.nodeid.startswith(each) for each in _LONGEST_FIRST])
