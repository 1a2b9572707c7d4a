"""The documented command, in small: begun from a file, broken off, gone on with, exported."""

from pathlib import Path

import numpy as np
import pytest

from segmentation.catalog.catalog import WEIGHTS
from training.data import GARMENTS, NAMELESS, SOMEBODY, UNKNOWN

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
train = pytest.importorskip("training.train")
export = pytest.importorskip("training.export")
gate = pytest.importorskip("training.gate")
origins = pytest.importorskip("training.origins")
network = pytest.importorskip("training.network")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own


def test_the_documented_command_begins_from_published_networks(
    fashion: Path, crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is fitted, the decoder learns, and the three encoders stay as they came.

    BodyPix's and DeepLab's files aren't in this project, so their weights are random here.
    """
    monkeypatch.setattr(origins, "load_bodypix", lambda *_: None)
    monkeypatch.setattr(origins, "load_deeplab", lambda *_: None)
    light = WEIGHTS / "body-regions-light.onnx"
    options = [
        "--data", str(fashion), "--people", str(crowd), "--light", str(light),
        "--teachers", str(tmp_path), "--steps", "2", "--seed", "1", "--threads", "1",
    ]  # fmt: skip
    torch.manual_seed(1)
    begun = origins.begin(light, tmp_path, tmp_path).state_dict()
    train.main([*options, "--out", str(tmp_path)])
    learned = torch.load(tmp_path / "checkpoint.pt")["network"]
    changed = {
        name.split(".")[0] for name, value in begun.items() if not torch.equal(value, learned[name])
    }
    assert {"gate", "logits"} <= changed
    assert not {"light", "parts", "people"} & changed


@pytest.fixture
def command(fashion: Path, crowd: Path, tmp_path: Path) -> list[str]:
    start = str(WEIGHTS / "body-regions.onnx")
    return [
        "--data", str(fashion), "--people", str(crowd), "--start", start, "--out", str(tmp_path),
        "--threads", "1",
    ]  # fmt: skip


def test_a_run_goes_on_where_it_was_broken_off(command: list[str], tmp_path: Path) -> None:
    """The checkpoint has the step, and a second run without --resume doesn't overwrite it."""
    train.main([*command, "--steps", "2"])
    assert torch.load(tmp_path / "checkpoint.pt")["step"] == 2
    with pytest.raises(SystemExit, match="--resume"):
        train.main([*command, "--steps", "3"])
    train.main([*command, "--steps", "3", "--resume"])
    assert torch.load(tmp_path / "checkpoint.pt")["step"] == 3
    trained = network.BodyRegions()
    trained.load_state_dict(torch.load(tmp_path / "mean.pt"))
    shipped = export.Shipped(trained).eval()
    export.export(shipped, tmp_path / "new.onnx", halved=True)
    assert export.difference(shipped, tmp_path / "new.onnx") < 0.1
    again = origins.shipped(tmp_path / "new.onnx").state_dict()
    for name, value in trained.state_dict().items():
        if not name.startswith("garments."):
            assert torch.allclose(again[name], value, rtol=1e-3, atol=1e-4), name


def test_the_gate_learns_what_is_street_fashion() -> None:
    """Two kinds of photo that differ in colour are told apart."""
    trained = origins.shipped(WEIGHTS / "body-regions.onnx")
    rng = np.random.default_rng(0)
    photos = [
        (rng.normal(200 if fashion else 60, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8), fashion)
        for fashion in [True, False] * 6
    ]
    assert gate.fit(trained, photos, 64 * 64, rng) == 1.0


def test_the_loss_knows_what_is_not_known() -> None:
    """Nothing is asked where nothing is known, and any region does for somebody."""
    codes = torch.full((1, 16, 16), NAMELESS, dtype=torch.uint8)
    codes[:, :8] = UNKNOWN
    codes[:, 8:12] = SOMEBODY
    garments = torch.zeros(1, GARMENTS, 4, 4)
    logits = torch.zeros(1, 4, 4, 4)
    logits[:, 0, 3] = 20
    losses = []
    for region in (1, 2, 3):
        logits[:, 1:, 2] = 0
        logits[:, region, 2] = 20
        logits[:, :, :2] = torch.randn(1, 4, 2, 4)
        losses.append(float(train.loss_of(logits, garments, codes)))
    assert np.ptp(losses) < 0.05
    logits[:, :, 2] = 0
    logits[:, 0, 2] = 20
    assert float(train.loss_of(logits, garments, codes)) > max(losses) + 1
