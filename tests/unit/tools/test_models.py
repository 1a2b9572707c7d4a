"""`maskline models`: lists, checks, and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from producer_tools.cli import app as cli
from tests.support.models import write_trivial_body_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def maskline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """`maskline` with these arguments, its MODEL_FOLDER holding `trivial`: exit code, out, err."""
    write_trivial_body_model(tmp_path)
    monkeypatch.setenv("MODEL_FOLDER", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["maskline", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_the_list_is_data(maskline: Run) -> None:
    """Every field as JSON; installed or not."""
    code, out, _ = maskline("models", "list", "--format", "json")
    rows = {row["model"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["trivial"]["installed"]
    assert rows["body-regions"]["default"]
    assert not rows["u2net"]["installed"]


def test_a_good_model_passes(maskline: Run, tmp_path: Path) -> None:
    """Exit 0, and the facts on stdout."""
    code, out, err = maskline("models", "check", str(tmp_path / "trivial.onnx"))
    assert code == 0
    assert "photo float[1, 3, 16, 16]" in out
    assert "1 thread: " in out
    assert "wrong:" not in err


def test_a_model_without_a_manifest_exits_4_with_a_suggestion(
    maskline: Run, tmp_path: Path
) -> None:
    """The suggestion is words, not data."""
    (tmp_path / "trivial.toml").unlink()
    code, out, err = maskline("models", "check", str(tmp_path / "trivial.onnx"), "--format", "json")
    assert code == 4
    assert json.loads(out)[0]["manifest"] is None
    assert "has no manifest" in err
    assert 'file = "trivial.onnx"' in err


def test_what_is_no_model_exits_4(maskline: Run, tmp_path: Path) -> None:
    """It names the file."""
    code, _, err = maskline("models", "check", str(tmp_path / "gone.onnx"))
    assert code == 4
    assert "gone.onnx" in err
