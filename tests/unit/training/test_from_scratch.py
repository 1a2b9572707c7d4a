"""The documented command, from published networks to a file and its table, in a small run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.catalog.catalog import WEIGHTS

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
from_scratch = pytest.importorskip("training.from_scratch")
label = pytest.importorskip("training.label")
origins = pytest.importorskip("training.origins")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own


@pytest.fixture
def command(
    fashion: Path, crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The command, with two steps.

    BodyPix's and DeepLab's files aren't in this project. So their weights are random here, and a
    photo's label is its mask of dark pixels.
    """
    monkeypatch.setattr(origins, "load_bodypix", lambda *_: None)
    monkeypatch.setattr(origins, "load_deeplab", lambda *_: None)
    monkeypatch.setattr(label, "DeepLab", lambda _: None)
    monkeypatch.setattr(label, "BodyPix", lambda _: None)
    monkeypatch.setattr(label, "labelled", lambda picture, *_: (dark(picture), dark(picture)))
    stanford = tmp_path / "stanford"
    stanford.mkdir()
    for number in range(4):
        picture = Image.new("RGB", (64, 64), (200, 200, 200))
        picture.paste((20, 20, 20), (8 * number, 10, 8 * number + 20, 60))
        picture.save(stanford / f"{number}.jpg")
    (crowd / "index.json").write_text("[]")
    return [
        "--data", str(fashion), "--people", str(crowd), "--photos", str(stanford),
        "--teachers", str(tmp_path), "--light", str(WEIGHTS / "body-regions-light.onnx"),
        "--out", str(tmp_path / "run"), "--steps", "2", "--threads", "1",
    ]  # fmt: skip


def dark(picture: Image.Image) -> np.ndarray:
    """255 where a picture is dark."""
    return np.where(np.asarray(picture.convert("L")) < 128, 255, 0).astype(np.uint8)


def test_it_goes_from_published_networks_to_a_judged_file(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photos are labelled, the network is trained and exported, and the table is printed."""
    from_scratch.main(command)
    run = tmp_path / "run"
    assert torch.load(run / "checkpoint.pt")["step"] == 2
    assert len(list((run / "more" / "regions").iterdir())) == 4
    printed = capsys.readouterr().out
    assert "people as they are" in printed
    assert "street fashion" in printed
    written = (run / "body-regions.onnx").stat().st_mtime_ns
    from_scratch.main(command)  # goes on with what there is: no step is left
    assert torch.load(run / "checkpoint.pt")["step"] == 2
    assert (run / "body-regions.onnx").stat().st_mtime_ns > written
