"""KServe's real server, in an environment of its own that is made once and kept."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from producer_tools.local import ports
from producer_tools.local.server import LocalServer
from segmentation.catalog.catalog import WEIGHTS
from tests.support.models import write_trivial_body_model

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"


class InferenceServer(LocalServer):
    """`body-regions` in a KServe process that can be killed and started again."""

    name = "Inference server"

    def __init__(self, python: Path) -> None:
        super().__init__()
        self._python = python

    @property
    def url(self) -> str:
        """The model's."""
        return f"http://{ports.HOST}:{self.port}/v2/models/body-regions"

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the server's command."""
        del first  # it keeps nothing in its folder
        file = WEIGHTS / "body-regions.onnx"
        script = HERE / "kserve_server.py"
        return (str(self._python), str(script), str(file), "body-regions", str(self.port))

    def wait_ready(self) -> None:
        """Return when the model is ready."""
        self.child.wait_until(self._is_ready, seconds=self.start_seconds)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def server_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment that has the server's packages, and no others."""
    if sys.version_info >= (3, 14):
        pytest.skip("KServe has no packages for this Python")
    token = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskline"
    folder = cache / f"kserve-{token}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kserve.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            capture = request.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                _install(folder)
            (folder / "ready").touch()
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def running_server(server_python: Path) -> Iterator[InferenceServer]:
    """One server for the session."""
    with InferenceServer(server_python) as server:
        yield server


@pytest.fixture
def inference_server(running_server: InferenceServer) -> InferenceServer:
    """The server, running even if the last test killed it."""
    if not running_server.child.running:
        running_server.restart()
    return running_server


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder of the test's own, for it writes manifests into it; with the trivial model."""
    write_trivial_body_model(tmp_path)
    return tmp_path


def _install(folder: Path) -> None:
    uv = str(Path(sys.executable).parent / "uv")
    what = "KServe's packages (about 190 MB installed, once)"
    print(f"\n{what}: installing into {folder} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    subprocess.run([uv, "venv", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [uv, "pip", "install", "--python", str(folder), "--require-hashes",
         "--only-binary", ":all:", "-r", str(LOCK)],
        check=True,
    )  # fmt: skip
    print(f"{what}: done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
