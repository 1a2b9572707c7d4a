"""An operator's day with a line that works: it holds, is changed and drained, and a day is redone.

The server admits and schedules the pods; their processes run here, on a real Kafka and S3.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from producer_tools.local import ports
from producer_tools.local.stack import LocalStack
from tests.chart.values import CHART
from tests.cluster.cluster import NODES
from tests.cluster.pod import Pod
from tests.cluster.release import Release, ready
from tests.support.bench import Bench
from tests.support.consumer_process import ConsumerProcess
from tests.support.line_names import LineNames, maskline

README = (CHART / "README.md").read_text()


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as stack:
        yield stack


@pytest.fixture
def bench(stack: LocalStack, tmp_path: Path) -> Bench:
    """A line that the release is to serve."""
    return Bench(stack, LineNames.fresh(), tmp_path)


@pytest.fixture
def values(stack: LocalStack, bench: Bench, release: Release) -> dict[str, Any]:
    """Values by which the pods reach the stack; its secrets are in a Secret."""
    given = {**stack.environment(), **bench.line.environment()}
    secrets = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MASK_COMPONENT_SECRET")
    literals = [f"--from-literal={name.lower()}={given.pop(name)}" for name in secrets]
    create = ("create", "secret", "generic", "stack", f"--namespace={release.namespace}")
    release.cluster.do("kubectl", *create, *literals)
    return {
        "existingSecret": "stack",
        "kafka": {"bootstrapServers": given.pop("KAFKA_BOOTSTRAP_SERVERS")},
        "s3": {"endpointUrl": given.pop("S3_ENDPOINT_URL")},
        "callback": {"url": given.pop("MASK_ASSET_URL")},
        "config": given,
    }


@pytest.fixture
def uncordoned(release: Release) -> Iterator[None]:
    """Every node takes pods again afterwards."""
    yield
    for node in NODES:
        release.cluster.run("kubectl", "uncordon", node)


async def test_a_line_holds_and_a_day_is_done_again(
    release: Release, values: dict[str, Any], bench: Bench, uncordoned: None, tmp_path: Path
) -> None:
    """While S3 is away: its reason is found, a setting is changed, a node is drained."""
    release.install(values)
    topics = _hook(release, "Job")["spec"]["template"]
    made = Pod.of(release, topics, tmp_path / "topics")
    assert maskline(*made.arguments, environment=made.environment).returncode == 0
    (template,) = [it["spec"]["template"] for it in release.items("deployments", "consumer")]
    pod = Pod.of(release, template, tmp_path / "consumer")
    consumer = ConsumerProcess(
        "consumer", *pod.arguments, folder=tmp_path, environment=pod.environment,
        module=("producer_tools",),
    )  # fmt: skip
    try:
        await consumer.until_assigned()
        photo = bench.put_photo(f"{bench.line.group}.png")
        bench.stack.s3.down()
        try:
            await bench.submit("friday", photo)
            await bench.event(lambda event: event["state"] == "retrying")
            asked = pod.execute(_command("python3 -c"), port=consumer.port)
            checks = json.loads(asked.stdout)["checks"]
            assert checks["not_holding"]["detail"].startswith("storage_unavailable: S3: ")
            assert (await consumer.get(pod.probe))[0] == 200, "so Kubernetes lets the fix roll out"
            doctor = pod.execute(_command("maskline doctor"))
            assert doctor.returncode == 3
            assert "S3_ENDPOINT_URL" in doctor.stdout, doctor.stdout
            release.upgrade(values, {"config": {"WORKER_COUNT": 4}})
            _drain(release)
        finally:
            bench.stack.s3.up()
        (event,) = await bench.terminal_events(1)
        assert event["state"] == "completed"
    finally:
        consumer.stop()
    await _do_again(release, values, pod, bench, tmp_path)


async def _do_again(
    release: Release, values: dict[str, Any], pod: Pod, bench: Bench, tmp_path: Path
) -> None:
    """Find the day's offsets, and have them done by a run of the chart's."""
    now = datetime.now(UTC)
    day = [f"{now + timedelta(days=days):%Y-%m-%dT00:00:00Z}" for days in (0, 1)]
    asked = pod.execute(re.sub(r"\S+Z\b", lambda _: day.pop(0), _command("maskline replay")))
    assert asked.returncode == 0, asked.stderr
    start, end = (int(re.findall(rf"{name}\D+(\d+)", asked.stdout)[0]) for name in _OFFSETS)
    replay = {"id": "friday", "fromOffset": start, "toOffset": end}
    release.upgrade(values, {"replay": replay})
    (run,) = release.items("jobs", "replay")
    repeated = Pod.of(release, run["spec"]["template"], tmp_path / "run")
    port = ports.choose("run", setting="HEALTH_PORT")
    environment = {**repeated.environment, "HEALTH_PORT": str(port)}
    ran = maskline(*repeated.arguments, environment=environment)
    assert ran.returncode == 0, ran.stderr
    again = await bench.event(lambda event: event["replay_id"] == "friday")
    assert again["job_id"] == "friday"


_OFFSETS = ("from_offset", "to_offset")


def _drain(release: Release) -> None:
    node = ready(release, "consumer")[0]["spec"]["nodeName"]
    (command,) = re.findall(r"^kubectl (drain .*)$", README, re.MULTILINE)
    release.cluster.do("kubectl", *command.replace("NODE", node).split(), "--timeout=60s")


def _hook(release: Release, kind: str) -> dict[str, Any]:
    """Give the hook of a kind, as Helm has it: the server has it no more."""
    parts = yaml.safe_load_all(release.helm("get", "hooks", "line"))
    (hook,) = [part for part in parts if part and part["kind"] == kind]
    return dict(hook)


def _command(begin: str) -> str:
    """Give a command that the README runs in a pod, from its name to its end."""
    text = README.replace("\\\n", " ")
    if begin.startswith("python3"):
        (found,) = re.findall(r'-- (python3 -c ".*?")', text, re.DOTALL)
    else:
        (found, *_) = re.findall(rf"-- ({begin}.*)", text)
    return str(found)
