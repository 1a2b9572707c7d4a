"""`make audit`: known holes in what the runtime's lock installs, or that nobody can look.

Exits 0 where there is none, 1 where there is one, 3 where the advisories can't be read.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.supply.locked import RUNTIME_LOCK, locked_versions

LOOK_SECONDS = 300
NONE, SOME, CANT_LOOK = 0, 1, 3
COMMAND = (
    sys.executable, "-m", "pip_audit", "--requirement", str(RUNTIME_LOCK), "--disable-pip",
    "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "20",
)  # fmt: skip


def audit(command: Sequence[str] = COMMAND) -> tuple[int, str]:
    """Ask for advisories; give the exit code, and what to say."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False
        )
        looked = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _cant_look(f"no answer in {LOOK_SECONDS} s")
    except ValueError:
        return _cant_look(" ".join(done.stderr.split())[-300:])
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in"
        f" {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in looked
        for hole in one.get("vulns", ())
    ]
    if passed_over := {one["name"]: one["skip_reason"] for one in looked if "skip_reason" in one}:
        why = (
            f"Can't look at {len(passed_over)} of {len(looked)} packages: try where the network is"
        )
        return CANT_LOOK, "\n".join([*holes, why, *passed_over.values()])
    if holes:
        return SOME, "\n".join(holes)
    return NONE, f"No hole is known in the {len(looked)} packages of {RUNTIME_LOCK.name}"


def _cant_look(why: str) -> tuple[int, str]:
    return CANT_LOOK, (
        f"Can't look: the advisories can't be read ({why}). Nothing is known of the"
        f" {len(locked_versions())} packages of {RUNTIME_LOCK.name}: try where the network is"
    )


if __name__ == "__main__":
    code, said = audit()
    print(said)
    sys.exit(code)
