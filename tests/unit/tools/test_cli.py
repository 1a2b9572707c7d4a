"""The command line: exit codes, and what goes to stdout and what to stderr."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consumer.kafka import topics
from consumer.kafka.topics import Difference
from consumer.settings import KafkaSettings
from producer_tools.cli import app as cli

MISSING = Difference("mask.jobs", "is missing", fatal=True)
SHORT = Difference("mask.status", "retention.ms is 1, not 604800000", fatal=False)


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def maskline(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`maskline` with these arguments, to its end."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["maskline", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def differing(monkeypatch: pytest.MonkeyPatch) -> list[Difference]:
    """What `topics.check` will find."""
    found: list[Difference] = []

    async def check(_settings: KafkaSettings) -> list[Difference]:
        return found

    monkeypatch.setattr(topics, "check", check)
    return found


def test_help_lists_the_verbs(maskline: Run) -> None:
    ran = maskline("--help")
    assert 0 == ran.code
    assert all(verb in ran.out for verb in ("consume", "demo", "topics", "schemas"))


def test_an_unknown_verb_is_wrong_usage(maskline: Run) -> None:
    ran = maskline("comsume")
    assert (2, "") == (ran.code, ran.out)
    assert "comsume" in ran.err


def test_a_bad_setting_names_itself(maskline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "TLS")
    ran = maskline("topics", "check")
    assert (2, "") == (ran.code, ran.out)
    assert "KAFKA_SECURITY_PROTOCOL='TLS'" in ran.err


def test_a_broker_out_of_reach_names_its_setting(
    maskline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ran = maskline("topics", "create")
    assert (3, "") == (ran.code, ran.out)
    assert "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1" in ran.err


def test_the_consumer_names_the_setting_that_it_lacks(
    maskline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASK_ASSET_URL", raising=False)
    ran = maskline("consume")
    assert (2, "") == (ran.code, ran.out)
    assert "MASK_ASSET_URL is not set" in ran.err


def test_the_consumer_names_the_model_that_it_lacks(
    maskline: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MASK_ASSET_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("MASK_COMPONENT_SECRET", "secret")
    monkeypatch.setenv("MODEL_FOLDER", str(tmp_path))
    monkeypatch.setenv("QWEN_MODEL_PATH", "absent.onnx")
    ran = maskline("consume")
    assert (4, "") == (ran.code, ran.out)
    assert "absent.onnx" in ran.err


def test_topics_as_they_should_be_are_no_data(maskline: Run, differing: list[Difference]) -> None:
    assert [] == differing
    ran = maskline("topics", "check")
    assert (0, "") == (ran.code, ran.out)
    assert "as they should be" in ran.err


def test_differences_are_data_and_the_remedy_is_words(
    maskline: Run, differing: list[Difference]
) -> None:
    differing += [MISSING, SHORT]
    rows: list[dict[str, Any]] = [
        {"topic": "mask.jobs", "differs": "is missing", "fatal": True},
        {"topic": "mask.status", "differs": SHORT.detail, "fatal": False},
    ]
    as_json = maskline("topics", "check", "--format", "json")
    assert (3, rows) == (as_json.code, json.loads(as_json.out))
    as_lines = maskline("topics", "check", "--format", "jsonl")
    assert rows == [json.loads(line) for line in as_lines.out.splitlines()]
    as_table = maskline("topics", "check")
    assert all(row["differs"] in as_table.out for row in rows)
    assert "maskline topics create" in as_table.err


def test_a_difference_that_keeps_the_order_is_no_failure(
    maskline: Run, differing: list[Difference]
) -> None:
    differing.append(SHORT)
    assert 0 == maskline("topics", "check").code


def test_nothing_is_coloured_off_a_terminal(maskline: Run, differing: list[Difference]) -> None:
    differing.append(MISSING)
    ran = maskline("topics", "check")
    assert "\x1b" not in ran.out + ran.err


def test_schemas_are_written_into_the_folder_given(maskline: Run, tmp_path: Path) -> None:
    ran = maskline("schemas", "export", str(tmp_path / "schemas"))
    assert (0, "") == (ran.code, ran.out)
    assert any((tmp_path / "schemas").iterdir())
