"""How many cores a process has, by affinity and by its cgroup's quota."""

import os
from pathlib import Path

import pytest

from segmentation.model.cores import available_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose scheduler allows eight."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def lay(root: Path, files: dict[str, str]) -> Path:
    """A folder that looks like a machine's."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish\n"}, 8),
        (
            {
                "proc/self/cgroup": "0::/pods/one\n",
                "sys/fs/cgroup/pods/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/pods/one/cpu.max": "max 100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/one\n2:cpu,cpuacct:/one\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/one/cpu.max": "100000 100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
    ],
)
def test_the_least_of_affinity_and_quotas_counts(
    files: dict[str, str], cores: int, tmp_path: Path
) -> None:
    """Versions 1 and 2, of the group and those above it."""
    assert available_cores(lay(tmp_path, files)) == cores


def test_a_smaller_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As taskset gives it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    lay(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"})
    assert available_cores(tmp_path) == 1
