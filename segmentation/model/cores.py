"""The number of cores that this process may use, from its CPU affinity and its cgroup's quota."""

import os
import sys
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may keep busy, at least 1.

    This is the minimum of its CPU affinity and the CFS quotas of its cgroup and all parent groups
    (cgroup versions 1 and 2). A quota of 1.5 counts as 1, because two threads would be throttled.

    Args:
        root: The folder that contains `proc` and `sys`. Only tests pass another one.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return max(1, int(min([_affinity(), *quotas])))


def _affinity() -> int:
    """Return the number of cores in the CPU affinity. macOS has no affinity, so all cores count."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(root: Path) -> list[Path]:
    """Return the existing folders of the process's CPU cgroup and its parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        inside = PurePosixPath(path.lstrip("/"))
        folders += [mount / inside, *(mount / parent for parent in inside.parents)]
    return [folder for folder in folders if folder.is_dir()]


def _quota(folder: Path) -> float | None:
    """Return the number of cores that this group may use, or None if it has no limit."""
    try:
        if (both := folder / "cpu.max").exists():
            quota, period = both.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if quota.strip() not in ("max", "-1") else None
    except (OSError, ValueError):
        return None
