"""Images and containers by buildah and podman, in a store of their own: the system's isn't touched.

Containers run as pods do that Pod Security calls restricted: any user but root, no capability, no
new privileges, a read-only root, and a temporary folder.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from producer_tools.local.kafka import jars

ROOT = Path(__file__).parents[2]
BASE = "localhost/python:3.13-slim"
IMAGE = "localhost/maskline:test"
USER = "12345:12345"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_RESTRICTED = (
    "--cgroup-manager=cgroupfs", "run", "--runtime=runc", "--network=host", "--read-only",
    "--tmpfs=/tmp:rw,size=1g,mode=1777", "--cap-drop=all", "--security-opt=no-new-privileges",
    f"--user={USER}", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096", "--memory=1g",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Store:
    """Where images and layers are kept."""

    folder: Path

    @classmethod
    def opened(cls) -> "Store":
        """Give the one in the user's cache, so that layers are there the next time."""
        folder = jars.default_cache().parent / "containers"
        folder.mkdir(parents=True, exist_ok=True)
        lines = ("[storage]", 'driver = "overlay"', f'runroot = "{folder}/run"')
        text = "\n".join((*lines, f'graphroot = "{folder}/images"', ""))
        (folder / "storage.conf").write_text(text)
        return cls(folder)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run buildah or podman on this store; raise with its words where it must succeed."""
        ran = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
        if check and ran.returncode:
            raise AssertionError(
                f"{' '.join(command[:3])}: {ran.stdout[-500:]}{ran.stderr[-2000:]}"
            )
        return ran

    def environment(self) -> dict[str, str]:
        """What makes buildah and podman use this store."""
        return {**os.environ, "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")}

    def build(self, context: Path, tag: str, *arguments: str) -> list[str]:
        """Build the Dockerfile; give the names of its layers, the base's first."""
        certificates = (
            f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"  # where pip's network has its own
        )
        self.run(
            "buildah", "bud", "--layers", "--isolation=chroot", "--pull-never", certificates,
            f"--build-arg=BASE_IMAGE={os.environ.get('BASE_IMAGE', BASE)}",
            *arguments, f"--tag={tag}", str(context),
        )  # fmt: skip
        layers = self.run(
            "buildah", "inspect", "--type=image",
            "--format={{range .OCIv1.RootFS.DiffIDs}}{{.}} {{end}}", tag,
        )  # fmt: skip
        return layers.stdout.split()

    def restricted(self, *arguments: str, before: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Give the command that runs the image as a pod would, with podman's flags `before` it."""
        return ("podman", *_RESTRICTED, *before, IMAGE, *arguments)


def ensure_base(store: Store) -> None:
    """Have a base image: `BASE_IMAGE`, or else one made of Debian's packages."""
    if "BASE_IMAGE" in os.environ:
        store.run("buildah", "pull", os.environ["BASE_IMAGE"])
        return
    if store.run("buildah", "images", "-q", BASE, check=False).stdout:
        return
    with tempfile.TemporaryDirectory() as folder:
        leaner = [f"--dpkgopt=path-exclude=/usr/share/{it}/*" for it in ("doc", "man", "locale")]
        packages = "--include=python3,python3-venv,ca-certificates"
        tar = f"{folder}/base.tar"
        mirror = os.environ.get("DEBIAN_MIRROR", _mirror())
        store.run("mmdebstrap", "--variant=minbase", packages, *leaner, "trixie", tar, mirror)
        steps = ("FROM scratch", "ADD base.tar /", "RUN ln -s python3 /usr/bin/python", "")
        (Path(folder) / "Dockerfile").write_text("\n".join(steps))
        store.run("buildah", "bud", "--isolation=chroot", f"--tag={BASE}", folder)


def _mirror() -> str:
    """Give this machine's own source of Debian's packages."""
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    lines = sources.read_text().splitlines() if sources.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("URIs:")]
    return found[0] if found else "http://deb.debian.org/debian"


def checkout(folder: Path) -> Path:
    """Clone what is committed, and nothing else, into the folder."""
    git = ("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(folder))
    subprocess.run(git, check=True, capture_output=True)
    return folder
