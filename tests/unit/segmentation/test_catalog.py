"""The catalog: what is installed, what isn't, and what is wrong with it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import ModelError, UnknownModel
from segmentation.model.manifest import read_manifest
from segmentation.segment import ImageLimits, segment
from tests.support.models import write_network, write_trivial_body_model
from tests.support.photos import read, saved, stripes

Open = Callable[[Path, str], Catalog]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model `trivial`."""
    write_trivial_body_model(tmp_path)
    return tmp_path


def amend(folder: Path, old: str, new: str) -> None:
    """Change the manifest of `trivial`."""
    path = folder / "trivial.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_body_model_becomes_the_default(folder: Path, open_catalog: Open) -> None:
    """By its file's name in the folder, or by its whole path."""
    assert open_catalog(folder, "trivial.onnx").default == "trivial"
    catalog = open_catalog(folder, str(folder / "trivial.onnx"))
    assert catalog.model(None) is catalog.model("trivial")


def test_a_model_outside_the_folder_has_its_manifest_beside_it(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, open_catalog: Open
) -> None:
    """`QWEN_MODEL_PATH` may be absolute."""
    elsewhere = tmp_path_factory.mktemp("empty")
    assert open_catalog(elsewhere, str(folder / "trivial.onnx")).default == "trivial"


def test_a_files_hash_is_computed_and_reported(folder: Path, open_catalog: Open) -> None:
    """Status events bear it."""
    digest = hashlib.sha256((folder / "trivial.onnx").read_bytes()).hexdigest()
    assert open_catalog(folder, "trivial.onnx").model(None).manifest.sha256 == digest


def test_another_file_than_the_manifests_is_refused(folder: Path, open_catalog: Open) -> None:
    """When the manifest has a hash."""
    amend(folder, 'source = "', f'sha256 = "{"0" * 64}"\nsource = "')
    with pytest.raises(ModelError, match=r"trivial\.onnx: its SHA-256 is .* says 000"):
        open_catalog(folder, "trivial.onnx")


def test_an_unknown_model_is_named_with_those_that_there_are(catalog: Catalog) -> None:
    """A customer's typing error."""
    with pytest.raises(UnknownModel, match=r"no model 'trivail'; there is .*hanging, trivial"):
        catalog.model("trivail")


def test_a_known_model_without_its_file_is_not_installed(catalog: Catalog) -> None:
    """A packaged manifest whose weights the operator must bring."""
    with pytest.raises(UnknownModel, match=r"put u2net\.onnx into MODEL_FOLDER"):
        catalog.model("u2net")


def test_an_operators_manifest_comes_before_the_packaged_one(
    folder: Path, open_catalog: Open
) -> None:
    """So that every default can be replaced."""
    amend(folder, 'name = "trivial"', 'name = "body-regions"')
    assert open_catalog(folder, "trivial.onnx").model("body-regions").manifest.input.height == 16


def test_two_manifests_of_one_name_are_an_error(folder: Path, open_catalog: Open) -> None:
    """In the same folder, neither is meant."""
    (folder / "twin.toml").write_text((folder / "trivial.toml").read_text(encoding="utf-8"))
    with pytest.raises(ModelError, match=r"twin\.toml: trivial\.toml is named 'trivial' too"):
        open_catalog(folder, "trivial.onnx")


def test_a_manifest_without_its_file_is_an_error(folder: Path, open_catalog: Open) -> None:
    """In the operator's folder both are the operator's."""
    amend(folder, "trivial.onnx", "gone.onnx")
    with pytest.raises(ModelError, match=r"trivial\.toml: its file gone\.onnx isn't in"):
        open_catalog(folder, "trivial.onnx")


def test_a_missing_body_model_or_folder_is_named(folder: Path, open_catalog: Open) -> None:
    """Which setting, and which path."""
    with pytest.raises(ModelError, match=r"QWEN_MODEL_PATH: there is no file .*gone\.onnx"):
        open_catalog(folder, "gone.onnx")
    with pytest.raises(ModelError, match=r"MODEL_FOLDER: .* is not a folder"):
        open_catalog(folder / "nowhere", "trivial.onnx")


def test_a_file_that_is_no_model_is_named(folder: Path, open_catalog: Open) -> None:
    """For example a half-finished download."""
    whole = (folder / "trivial.onnx").read_bytes()
    (folder / "trivial.onnx").write_bytes(whole[:100])
    with pytest.raises(ModelError, match=r"trivial\.onnx can't be loaded"):
        open_catalog(folder, "trivial.onnx")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("height = 16", "height = 32", "input is 32 high and 16 wide"),
        ("height = 16", 'height = 16\nlayout = "NHWC"', "input.layout is NHWC"),
        ("height = 16", 'height = 16\nfit = "area"', "has a fixed size"),
        ("height = 16", 'height = 16\nname = "image"', "its inputs are photo"),
        ('kind = "logits"', 'kind = "logits"\nindex = 2', "it has 1 outputs"),
        ('"person", "upper"', '"person", "bag", "upper"', "has 5, but output .* has 4 planes"),
    ],
)
def test_a_manifest_that_contradicts_the_model_is_reported(
    old: str, new: str, words: str, folder: Path, open_catalog: Open
) -> None:
    """At the start, not at the first job."""
    amend(folder, old, new)
    with pytest.raises(ModelError, match=words):
        open_catalog(folder, "trivial.onnx")


def test_an_unavailable_provider_is_never_replaced(folder: Path) -> None:
    """Who asked for a GPU doesn't get a CPU silently."""
    with pytest.raises(ModelError, match="NoSuchProvider isn't available"):
        Catalog.load(
            folder=folder, body_model="trivial.onnx", providers=["NoSuchProvider"], threads=1
        )


@pytest.mark.filterwarnings("ignore::UserWarning:onnxruntime")
def test_a_provider_that_doesnt_start_is_never_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime itself would warn, and go on with the CPU."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: names)
    with pytest.raises(ModelError, match=r"asked for CUDA.*, but ONNX Runtime started CPU"):
        Catalog.load(folder=folder, body_model="trivial.onnx", providers=names, threads=1)


def test_a_body_model_without_a_manifest_gets_one_suggested(
    tmp_path: Path, open_catalog: Open
) -> None:
    """The suggestion is a manifest, with the file's own sizes and classes."""
    write_network(
        tmp_path / "mine.onnx",
        nodes=[helper.make_node("Conv", ["photo", "weight"], ["parts"], strides=[4, 4])],
        weights={"weight": np.ones((7, 3, 1, 1), np.float32)},
        photo=(1, 3, 96, 64),
        outputs={"parts": (1, 7, 24, 16)},
    )
    with pytest.raises(ModelError, match=r"Write .*mine\.toml") as raised:
        open_catalog(tmp_path, "mine.onnx")
    suggestion = str(raised.value).partition("\n\n")[2]
    (tmp_path / "mine.toml").write_text(suggestion, encoding="utf-8")
    manifest = read_manifest(tmp_path / "mine.toml")
    assert (manifest.input.height, manifest.input.width) == (96, 64)
    assert manifest.classes is not None
    assert len(manifest.classes.names) == 7
    assert open_catalog(tmp_path, "mine.onnx").default == "mine"


def test_warming_runs_every_model(folder: Path, open_catalog: Open) -> None:
    """A model that fails is named before the first job comes."""
    open_catalog(folder, "trivial.onnx").warm()
    write_network(
        folder / "trivial.onnx",
        nodes=[helper.make_node("Reshape", ["photo", "shape"], ["logits"])],
        weights={"shape": np.array([1, 4, 16, 17], np.int64)},
        photo=(1, 3, 16, "width"),
        outputs={"logits": (1, 4, 16, "columns")},
    )
    with pytest.raises(ModelError, match="'trivial' failed"):
        open_catalog(folder, "trivial.onnx").warm()


def test_a_model_may_have_its_channels_last(folder: Path, open_catalog: Open) -> None:
    """NHWC at both ends, as TensorFlow's exports have it."""
    write_network(
        folder / "trivial.onnx",
        nodes=[helper.make_node("Concat", ["photo", "none"], ["logits"], axis=3)],
        weights={"none": np.zeros((1, 16, 16, 1), np.float32)},
        photo=(1, 16, 16, 3),
        outputs={"logits": (1, 16, 16, 4)},
    )
    amend(folder, "height = 16", 'height = 16\nlayout = "NHWC"')
    amend(folder, 'kind = "logits"', 'kind = "logits"\nlayout = "NHWC"')
    model = open_catalog(folder, "trivial.onnx").model(None)
    photo = stripes()[:, :, ::-1]  # blue first, so that class 0 is blue, 1 green, 2 red
    result = segment(
        saved(np.ascontiguousarray(photo)),
        model=model,
        outputs=["seg_map"],
        limits=ImageLimits(10**6, 10**6, frozenset({"PNG"})),
        deadline=Deadline(10),
    )
    assert read(result.files["seg_map"])[::80, 0].tolist() == [1, 2, 0, 0]
