"""What `models list` and `models check` find out."""

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, helper

from segmentation.catalog.inspection import Inspection, inspect, list_models
from segmentation.errors import ModelError
from segmentation.model.opset import read_opsets
from tests.support.models import write_network, write_trivial_body_model

CPU = ["CPUExecutionProvider"]


def checked(path: Path) -> Inspection:
    """The file, run at one and two threads."""
    return inspect(path, folder=None, providers=CPU, threads=[1, 2])


def test_a_good_model_is_described_in_full(tmp_path: Path) -> None:
    """What it is, what it gives, how long it takes, and that nothing is wrong."""
    write_trivial_body_model(tmp_path)
    found = checked(tmp_path / "trivial.onnx")
    assert [str(port) for port in found.inputs] == ["photo float[1, 3, 16, 16]"]
    assert [str(port) for port in found.outputs] == ["logits float[1, 4, 16, 16]"]
    assert found.opsets == {"ai.onnx": 17}
    assert found.bytes == (tmp_path / "trivial.onnx").stat().st_size
    assert found.providers == tuple(CPU)
    assert found.problems == ()
    assert found.gives[:2] == ("upper_body_mask", "lower_body_mask")
    assert set(found.milliseconds) == {1, 2}
    assert found.suggestion is None


def test_a_model_without_a_manifest_gets_one_suggested_and_is_run(tmp_path: Path) -> None:
    """What it could be, and that a manifest is missing."""
    write_trivial_body_model(tmp_path)
    (tmp_path / "trivial.toml").unlink()
    found = checked(tmp_path / "trivial.onnx")
    assert "has no manifest" in found.problems[0]
    assert found.suggestion is not None
    assert found.gives == ()
    assert set(found.milliseconds) == {1, 2}


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (helper.make_node("Identity", ["constant"], ["logits"]), "same for two different pictures"),
        (helper.make_node("Div", ["parts", "zero"], ["logits"]), "aren't numbers"),
    ],
)
def test_a_useless_answer_is_reported(node: NodeProto, words: str, tmp_path: Path) -> None:
    """A model that runs may still be broken."""
    write_trivial_body_model(tmp_path)
    write_network(
        tmp_path / "trivial.onnx",
        nodes=[helper.make_node("Conv", ["photo", "weight"], ["parts"]), node],
        weights={
            "weight": np.ones((4, 3, 1, 1), np.float32),
            "constant": np.ones((1, 4, 16, 16), np.float32),
            "zero": np.zeros(1, np.float32),
        },
        photo=(1, 3, 16, 16),
        outputs={"logits": (1, 4, 16, 16)},
    )
    assert any(words in fault for fault in checked(tmp_path / "trivial.onnx").problems)


def test_logits_described_as_probabilities_are_noticed(tmp_path: Path) -> None:
    """They don't sum to 1."""
    write_trivial_body_model(tmp_path)
    path = tmp_path / "trivial.toml"
    path.write_text(path.read_text().replace('"logits"', '"probabilities"'))
    assert any("don't sum to 1" in fault for fault in checked(tmp_path / "trivial.onnx").problems)


def test_a_contradicting_manifest_is_reported_with_its_reason(tmp_path: Path) -> None:
    """Without running what can't run."""
    write_trivial_body_model(tmp_path)
    path = tmp_path / "trivial.toml"
    path.write_text(path.read_text().replace("height = 16", "height = 8"))
    found = checked(tmp_path / "trivial.onnx")
    assert "input is 8 high and 16 wide" in found.problems[0]
    assert found.milliseconds == {}


@pytest.mark.parametrize(
    ("shape", "weight"), [((1, 3, 8, 8), (1000, 3, 1, 1)), ((1, 5, 8, 8), (2, 5, 1, 1))]
)
def test_what_segments_nothing_is_reported(
    shape: tuple[int, ...], weight: tuple[int, ...], tmp_path: Path
) -> None:
    """A thousand planes, or an input that is no photo: a fault, not a crash."""
    write_network(
        tmp_path / "odd.onnx",
        nodes=[helper.make_node("Conv", ["photo", "weight"], ["planes"])],
        weights={"weight": np.ones(weight, np.float32)},
        photo=shape,
        outputs={"planes": (1, weight[0], 8, 8)},
    )
    found = checked(tmp_path / "odd.onnx")
    assert len(found.problems) == 2
    assert found.milliseconds == {}


def test_what_is_no_model_is_an_error(tmp_path: Path) -> None:
    """A missing file, and one that is none."""
    with pytest.raises(ModelError, match="there is no file"):
        checked(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="can't be loaded"):
        checked(tmp_path / "text.onnx")
    assert read_opsets(tmp_path / "text.onnx") == {}


def test_the_list_shows_what_is_installed_and_which_is_the_default(tmp_path: Path) -> None:
    """Packaged manifests, whether or not their files are there, and the operator's."""
    write_trivial_body_model(tmp_path)
    listed = {model.name: model for model in list_models(tmp_path, "trivial.onnx")}
    assert listed["trivial"].installed
    assert listed["trivial"].default
    assert not listed["u2net"].installed
    assert listed["u2net"].outputs == ("alpha_mask", "cutout")
    assert [name for name, model in listed.items() if model.default] == ["trivial"]
    assert [model.name for model in list_models(None, None) if model.default] == ["body-regions"]
