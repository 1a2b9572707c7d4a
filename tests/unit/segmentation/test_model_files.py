"""A manifest's file stays in its folder, and its SHA-256 covers all of its weights."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segmentation.catalog.catalog import Catalog, file_sha256
from segmentation.errors import ModelError
from segmentation.model.external_data import external_files
from segmentation.model.manifest import read_manifest
from tests.support.models import write_trivial_body_model

Open = Callable[[Path, str], Catalog]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `trivial`, its weights in a file of their own."""
    folder = tmp_path / "models"
    folder.mkdir()
    write_trivial_body_model(folder)
    model = onnx.load(folder / "trivial.onnx")
    onnx.save_model(
        model,
        folder / "trivial.onnx",
        save_as_external_data=True,
        location="trivial.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    return folder


def describe(folder: Path, **replaced: str) -> Path:
    """Change lines of the manifest."""
    path = folder / "trivial.toml"
    lines = [
        line for line in path.read_text().splitlines() if line.partition(" =")[0] not in replaced
    ]
    path.write_text("\n".join([*(f"{key} = '{text}'" for key, text in replaced.items()), *lines]))
    return path


@pytest.mark.parametrize(
    "file",
    ["../trivial.onnx", "a/../../trivial.onnx", "/etc/passwd", "..", ".", "", r"..\trivial.onnx"],
)
def test_a_file_outside_its_folder_is_refused(file: str, folder: Path) -> None:
    """Before it is looked for."""
    with pytest.raises(ModelError, match=r"file: .*not the name of a file"):
        read_manifest(describe(folder, file=file))


def test_a_file_in_a_folder_of_the_folder_is_taken(folder: Path, open_catalog: Open) -> None:
    """As one that a volume brings."""
    (folder / "deeper").mkdir()
    for name in ("trivial.onnx", "trivial.bin"):
        (folder / name).rename(folder / "deeper" / name)
    describe(folder, file="deeper/trivial.onnx")
    assert "trivial" in open_catalog(folder, "trivial.toml").names


def test_the_digest_is_of_all_the_weights(folder: Path, open_catalog: Open) -> None:
    """As a person would get it on the command line."""
    parts = [(folder / name).read_bytes() for name in ("trivial.onnx", "trivial.bin")]
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    describe(folder, sha256=expected)
    catalog = open_catalog(folder, "trivial.onnx")
    assert expected == catalog.model("trivial").manifest.sha256


def test_other_weights_are_refused(folder: Path, open_catalog: Open) -> None:
    """Though the model's own file is the same."""
    describe(folder, sha256=file_sha256(folder / "trivial.onnx"))
    weights = bytearray((folder / "trivial.bin").read_bytes())
    weights[0] ^= 1
    (folder / "trivial.bin").write_bytes(weights)
    with pytest.raises(ModelError, match="its SHA-256 is"):
        open_catalog(folder, "trivial.onnx")


def test_missing_weights_are_named(folder: Path, open_catalog: Open) -> None:
    """Before ONNX Runtime misses them."""
    (folder / "trivial.bin").unlink()
    with pytest.raises(ModelError, match=r"weights in 'trivial\.bin', and there is no such file"):
        open_catalog(folder, "trivial.onnx")


def external(name: str, location: str) -> TensorProto:
    """A tensor in another file."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


@pytest.mark.parametrize("location", ["../weights.bin", "/tmp/weights.bin", "a/../../b.bin"])  # noqa: S108 - none is read
def test_weights_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    """A model names no file of the machine."""
    graph = helper.make_graph([], "g", [], [], [external("w", location)])
    onnx.save_model(helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="which is not in its folder"):
        external_files(tmp_path / "model.onnx")


def test_weights_are_found_at_any_depth(tmp_path: Path) -> None:
    """In nodes, in graphs of nodes, and in functions."""
    names = ["constant.bin", "branch.bin", "function.bin", "graph.bin"]
    for name in names:
        (tmp_path / name).write_bytes(bytes(16))

    def constant(location: str) -> onnx.NodeProto:
        return helper.make_node("Constant", [], ["c"], value=external("c", location))

    branch = helper.make_graph([constant("branch.bin")], "b", [], [])
    function = helper.make_function(
        "own", "F", [], ["c"], [constant("function.bin")], [helper.make_opsetid("", 17)]
    )
    graph = helper.make_graph(
        [constant("constant.bin"), helper.make_node("If", ["x"], ["y"], then_branch=branch)],
        "g",
        [],
        [],
        [external("w", "graph.bin")],
    )
    model = helper.make_model(graph, functions=[function])
    onnx.save_model(model, tmp_path / "model.onnx")
    assert sorted(names) == [path.name for path in external_files(tmp_path / "model.onnx")]


def test_no_onnx_file_has_no_others(tmp_path: Path) -> None:
    """What is wrong with it is ONNX Runtime's to say."""
    for content in (b"", b"text", b"\x3a\xff\xff\xff\xff\xff\xff", b"\xff" * 100):
        (tmp_path / "model.onnx").write_bytes(content)
        assert external_files(tmp_path / "model.onnx") == []
