"""How many cores this process really has, by the scheduler's affinity and its cgroup's quota."""

import os
import sys
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Whole cores that the process may keep busy, at least 1.

    The least of its CPU affinity and every CFS quota of its cgroup and the groups above (version 1
    and 2). A quota of 1.5 is 1: two threads would be throttled.

    Args:
        root: Where `proc` and `sys` are; another folder only in tests.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return max(1, int(min([_affinity(), *quotas])))


def _affinity() -> int:
    """Cores that the scheduler may put the process on; macOS doesn't tell, and has all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(root: Path) -> list[Path]:
    """The folders of the process's CPU cgroup and its parents, those that exist."""
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
    """Cores that this group may use; None without a limit."""
    try:
        if (both := folder / "cpu.max").exists():
            quota, period = both.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if quota.strip() not in ("max", "-1") else None
    except (OSError, ValueError):
        return None
