"""KServe's real server, in an environment of its own that is made once and kept."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from producer_tools.local import ports
from segmentation.catalog.catalog import WEIGHTS
from tests.support.models import write_trivial_body_model

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
SECONDS = 120.0


class InferenceServer:
    """`body-regions` in a KServe process that can be killed and started again."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._command = [str(python), str(HERE / "kserve_server.py")]
        self._log = folder / "kserve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = ports.choose("the inference server", setting="nothing")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The model's."""
        return f"http://127.0.0.1:{self.port}/v2/models/body-regions"

    def start(self) -> None:
        """Start it where it isn't running, and wait until the model is ready."""
        if self._process is not None:
            return
        file = WEIGHTS / "body-regions.onnx"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, str(file), "body-regions", str(self.port)],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a machine's loss would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its port and connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

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
def running_server(
    server_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InferenceServer]:
    """One server for the session."""
    with InferenceServer(server_python, tmp_path_factory.mktemp("kserve")) as server:
        yield server


@pytest.fixture
def inference_server(running_server: InferenceServer) -> InferenceServer:
    """The server, running even if the last test killed it."""
    running_server.start()
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
