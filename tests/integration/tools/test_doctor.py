"""`maskline doctor` names what is wrong, each fault at its place, and what to do."""

import json
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from consumer.kafka.authorization import ask_rights
from consumer.kafka.rights import rights_of
from consumer.settings import KafkaSettings, load
from producer_tools.doctor.doctor import examine, exit_code
from producer_tools.doctor.finding import Finding
from tests.integration.tools.conftest import ToolLine
from tests.support.line_names import LineNames, create_topics, maskline
from tests.support.models import write_trivial_body_model
from tests.support.narrow_kafka import GROUP, PREFIXED, TOPIC, TRANSACTIONAL_ID, NarrowKafka
from tests.support.raw_server import RawServer

pytestmark = pytest.mark.integration

SECRET = "the-receivers-own-secret"  # noqa: S105 - of this test alone


@pytest.fixture
def given(tool_line: ToolLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of a line that is as it should be, in the environment too."""
    write_trivial_body_model(tmp_path)
    topics = tool_line.kafka
    environment = {
        **tool_line.stack.environment(),
        "JOBS_TOPIC": topics.jobs_topic,
        "STATUS_TOPIC": topics.status_topic,
        "DEAD_LETTER_TOPIC": topics.dead_letter_topic,
        "CONTROL_TOPIC": topics.control_topic,
        "CONSUMER_GROUP": topics.consumer_group,
        "MODEL_FOLDER": str(tmp_path),
        "QWEN_MODEL_PATH": "trivial.onnx",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def states(findings: list[Finding]) -> dict[str, set[str]]:
    """Give how each check went."""
    found: dict[str, set[str]] = {}
    for one in findings:
        found.setdefault(one.check, set()).add(one.state)
    return found


def find(findings: list[Finding], check: str, words: str) -> Finding:
    """Give the finding of a check that says these words."""
    found = [one for one in findings if one.check == check and words in one.says]
    assert found, f"nothing of {check} says {words!r}: {findings}"
    return found[0]


def test_a_line_that_is_as_it_should_be_is_all_well(given: dict[str, str]) -> None:
    """The command's rows have every check; only the consumer is missing."""
    done = maskline("doctor", "--format", "json", environment=given)
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    how = {row["check"]: row["state"] for row in rows}
    how.pop("certificates", None)  # where the machine's own AWS_CA_BUNDLE names a file
    assert how == {
        "settings": "ok",
        "kafka": "ok",
        "topics": "ok",
        "rights": "ok",
        "line": "warning",
        "s3": "ok",
        "clock": "ok",
        "callback": "ok",
        "models": "ok",
    }
    (line,) = (row for row in rows if row["check"] == "line")
    assert "nobody serves it" in line["says"]
    assert line["do"] == "start `maskline consume`"
    assert "0 wrong, 1 to look at" in done.stderr


async def test_each_fault_is_named_at_its_place(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are found at once; one doesn't hide another."""
    del given
    monkeypatch.setenv("WORKER_COUNT", "0")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("UPLOAD_BUCKET", "nonesuch")
    monkeypatch.setenv("QWEN_MODEL_PATH", "nonesuch.onnx")
    monkeypatch.setenv("MASK_COMPONENT_SECRET", SECRET)
    with RawServer(refuse_an_hour_ago) as receiver:
        monkeypatch.setenv("MASK_ASSET_URL", f"{receiver.origin}/masks")
        findings = await examine()
    assert "WORKER_COUNT" in find(findings, "settings", "WORKER_COUNT").says
    assert find(findings, "kafka", "nothing listens there").state == "wrong"
    assert "no bucket nonesuch" in find(findings, "s3", "nonesuch").says
    assert "MASK_COMPONENT_SECRET" in find(findings, "callback", "401").do
    assert find(findings, "clock", "ahead of that of MASK_ASSET_URL").state == "wrong"
    assert find(findings, "models", "nonesuch.onnx").state == "wrong"
    assert SECRET not in str(findings)
    assert exit_code(findings) == 2
    assert exit_code([one for one in findings if one.check != "settings"]) == 3
    assert exit_code([one for one in findings if one.check == "models"]) == 4


async def test_missing_topics_and_an_s3_that_refuses_us_are_named(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the line would meet them: it wouldn't start, or hold."""
    del given
    line = LineNames.fresh()
    for name, value in line.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")
    findings = await examine()
    assert "maskline topics create" in find(findings, "topics", line.jobs).do
    assert find(findings, "s3", "nothing listens there").state == "wrong"
    assert states(findings)["callback"] == {"ok"}
    assert exit_code(findings) == 3


@pytest.fixture(scope="module")
def narrow_kafka() -> Iterator[NarrowKafka]:
    """A Kafka with an authorizer."""
    kafka = NarrowKafka()
    kafka.launch()
    try:
        kafka.wait_ready()
        yield kafka
    finally:
        kafka.stop()


async def test_rights_are_those_that_the_broker_would_grant(
    narrow_kafka: NarrowKafka, line: LineNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named one by one, and nothing is left out or made up."""
    topics = {**line.environment(), "KAFKA_BOOTSTRAP_SERVERS": narrow_kafka.bootstrap_servers}
    await create_topics(topics)
    for name, value in {**topics, **narrow_kafka.environment_of_user()}.items():
        monkeypatch.setenv(name, value)
    settings = load(KafkaSettings)
    own = f"{line.group}-{line.jobs}-0"

    async def missing() -> set[tuple[str, str]]:
        found = await ask_rights(settings, rights_of("consumer", settings))
        return {(one.operation, one.resource) for one in found}

    everything = {
        *((one, f"topic {line.jobs}") for one in ("READ", "DESCRIBE_CONFIGS")),
        *((one, f"topic {line.status}") for one in ("READ", "WRITE", "DESCRIBE_CONFIGS")),
        *((one, f"topic {line.dead_letters}") for one in ("WRITE", "DESCRIBE_CONFIGS")),
        *((one, f"topic {line.control}") for one in ("READ", "DESCRIBE_CONFIGS")),
        ("READ", f"group {line.group}"),
        ("WRITE", f"transactional id {own}"),
    }
    assert await missing() == everything
    for operation, resource in sorted(everything):
        kind, _, name = resource.rpartition(" ")
        if (operation, resource) == ("WRITE", f"topic {line.status}") or kind == "group":
            continue
        kinds = {"topic": TOPIC, "transactional id": TRANSACTIONAL_ID}
        if kind == "transactional id":
            await narrow_kafka.grant(operation, kinds[kind], f"{line.group}-", pattern=PREFIXED)
        else:
            await narrow_kafka.grant(operation, kinds[kind], name)
    assert await missing() == {("WRITE", f"topic {line.status}"), ("READ", f"group {line.group}")}
    await narrow_kafka.grant("WRITE", TOPIC, line.status)
    await narrow_kafka.grant("READ", GROUP, line.group)
    assert await missing() == set()


def refuse_an_hour_ago(line: socket.socket, _: RawServer) -> None:
    """Answer 401, from a clock that is an hour behind."""
    line.recv(65536)
    date = formatdate(time.time() - 3600, usegmt=True)
    line.sendall(f"HTTP/1.1 401 No\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n".encode())
