"""The image at work: on a real Kafka and S3, and what a signal does to process 1."""

import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from producer_tools.local import ports
from producer_tools.local.stack import LocalStack
from tests.image.containers import Store
from tests.support.bench import Bench
from tests.support.consumer_process import until
from tests.support.line_names import LineNames, create_topics
from tests.support.photos import saved, stripes

END_SECONDS = 45.0
WORK = {
    "maskline topics check": 0,
    "maskline submit /photos/a.png --user u --batch b --wait": 0,
    "maskline status b:0": 0,
    "maskline watch b:0": 0,
    "maskline jobs": 0,
    "maskline stats": 0,
    "maskline cancel b:0": 1,  # it has ended
    "maskline replay --job b:0": 0,
    "HEALTH_PORT=0 maskline consume --replay-id r --from-offset 0 --to-offset 1": 0,
    "maskline dead-letters list": 0,
    "maskline dead-letters redrive": 0,
    "maskline resume": 0,
    "maskline doctor": 0,
    "maskline models list": 0,
    "maskline schemas export /tmp/schemas": 0,
}
"""Commands, in this order, and the exit code of each."""


class Container:
    """A container with a command of `maskline`."""

    def __init__(
        self, store: Store, command: str, environment: Mapping[str, str], *mounts: str
    ) -> None:
        self._store = store
        self.name = f"maskline-{uuid.uuid4().hex[:8]}"
        flags = [f"--env={name}={value}" for name, value in environment.items()]
        mounted = [f"--volume={mount}" for mount in mounts]
        before = ("--detach", f"--name={self.name}", *flags, *mounted)
        store.run(*store.restricted(command, before=before))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process 1."""
        self._store.run("podman", "kill", f"--signal={number.name}", self.name)

    def exit_code(self) -> int:
        """Wait for its end, no longer than a pod would."""
        waiting = subprocess.run(
            ("podman", "wait", self.name),  # noqa: S607  # whichever is on PATH
            env=self._store.environment(), capture_output=True, text=True, timeout=END_SECONDS,
        )  # fmt: skip
        return int(waiting.stdout)

    def log(self) -> str:
        """What it has said."""
        ran = self._store.run("podman", "logs", self.name)
        return ran.stdout + ran.stderr

    def remove(self) -> None:
        """Take it away, running or not."""
        self._store.run("podman", "rm", "--force", "--time=0", self.name, check=False)


@pytest.fixture
def environment(stack: LocalStack, line: LineNames) -> dict[str, str]:
    """A line on the local stack; its probes are at a free port."""
    return {
        **stack.environment(),
        **line.environment(),
        "HOST": ports.HOST,
        "HEALTH_PORT": str(ports.choose("consumer", setting="HEALTH_PORT")),
        "PORT": str(ports.choose("gateway", setting="PORT")),
    }


@pytest.fixture
def line() -> LineNames:
    return LineNames.fresh()


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    """What a test starts; it is taken away."""
    started: list[Container] = []
    yield started
    for container in started:
        container.remove()


async def test_a_line_runs_in_it(
    layers: list[str], store: Store, stack: LocalStack, line: LineNames,
    environment: dict[str, str], containers: list[Container], tmp_path: Path,
) -> None:  # fmt: skip
    """A job is completed, its secret a file; SIGTERM ends process 1 in order and in time."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    secrets.joinpath("mask_component_secret").write_text(environment.pop("MASK_COMPONENT_SECRET"))
    bench = Bench(stack, line, tmp_path)
    await create_topics(bench.environment)
    settings = {**environment, "SECRETS_DIR": "/run/secrets/maskline"}
    container = Container(store, "consume", settings, f"{secrets}:/run/secrets/maskline:ro")
    containers.append(container)
    await bench.submit("j", bench.put_photo(f"{line.group}.png"))
    (event,) = await bench.terminal_events(1)
    assert event["state"] == "completed"
    container.signal(signal.SIGTERM)
    assert container.exit_code() == 0
    log = container.log()
    assert "consumer.stopped" in log
    assert "telemetry" not in log.lower()


async def test_the_tools_work_in_it(
    layers: list[str], store: Store, stack: LocalStack, line: LineNames,
    environment: dict[str, str], containers: list[Container], tmp_path: Path,
) -> None:  # fmt: skip
    """Each command does its work beside a line, in a pod's container."""
    await create_topics(environment)
    containers.append(Container(store, "consume", environment))
    photos = tmp_path / "photos"
    photos.mkdir()
    photos.joinpath("a.png").write_bytes(saved(stripes()))
    script = "".join(f"{command} >> /tmp/said 2>&1; echo $?; " for command in WORK)
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    mount = f"--volume={photos}:/photos:ro"
    before = ("--rm", "--entrypoint=/bin/sh", mount, *variables)
    ran = store.run(*store.restricted("-c", f"{script} cat /tmp/said", before=before))
    codes = [int(code) for code in ran.stdout.split()[: len(WORK)]]
    assert WORK == dict(zip(WORK, codes, strict=True)), ran.stdout


async def test_a_gateway_runs_in_it(
    layers: list[str], store: Store, environment: dict[str, str], containers: list[Container]
) -> None:
    """It is ready with its view in the temporary folder, and SIGTERM ends it in order."""
    await create_topics(environment)
    container = Container(store, "gateway", environment)
    containers.append(container)
    address = f"http://{ports.HOST}:{environment['PORT']}/readyz"

    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=5) as client:
            try:
                return (await client.get(address)).status_code == 200
            except httpx.HTTPError:
                return False

    await until(ready, "the gateway is ready")
    container.signal(signal.SIGTERM)
    assert container.exit_code() == 0
    assert "gateway.stopped" in container.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
async def test_a_signal_in_the_first_second_ends_it(
    number: signal.Signals, seconds: float, layers: list[str], store: Store,
    environment: dict[str, str], containers: list[Container],
) -> None:  # fmt: skip
    """The kernel gives process 1 no signal that it has no handler for."""
    container = Container(store, "consume", environment)
    containers.append(container)
    time.sleep(seconds)  # noqa: ASYNC251  # the moment is what is tested
    container.signal(number)
    begin = time.monotonic()
    assert container.exit_code() == 0
    assert time.monotonic() - begin < 10
