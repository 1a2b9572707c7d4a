"""Manifests: what is wrong with one is named, with its key."""

from pathlib import Path

import pytest

from segmentation.catalog.catalog import PACKAGED
from segmentation.errors import ModelError
from segmentation.model.manifest import Classes, Input, Manifest, Output, read_manifest

GOOD = (PACKAGED / "body-regions.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ('name = "body-regions"', 'nmae = "body-regions"', "nmae: unknown key"),
        ('name = "body-regions"', "", "name: Field required"),
        ('name = "body-regions"', 'name = "../etc"', "name: String should match"),
        ("scale = 1.0", "skale = 1.0", "input.skale: unknown key"),
        ("scale = 1.0", "scale = 0", "input.scale"),
        ("scale = 1.0", 'scale = "darkest"', "input.scale"),
        ("std = [128.0, 128.0, 128.0]", "std = [1, 0, 1]", "input.std.1"),
        ("std = [128.0, 128.0, 128.0]", "std = [1, 1]", "input.std"),
        ('kind = "logits"', 'kind = "scores"', "output.kind: Input should be 'logits'"),
        ('kind = "logits"', 'kind = "alpha"', "a model whose output is alpha has none"),
        ("index = 0", "index = 0\nsigmoid = true", "sigmoid and stretch are for alpha"),
        ('upper = ["upper_body"]', 'upper = ["chest"]', "upper: chest isn't among names"),
        ('lower = ["lower_body"]', 'lower = ["upper_body"]', "upper_body: in more than one"),
        ('lower = ["lower_body"]', "", "outputs: the model can't give lower_body_mask"),
        ('"background", "person"', '"person", "person"', "a class is named twice"),
        ('"lower_body_mask"]', '"depth"]', "outputs.1"),
        ("[classes]", "[classes", "Expected ']'"),
    ],
)
def test_a_wrong_manifest_names_its_file_and_key(
    line: str, instead: str, words: str, tmp_path: Path
) -> None:
    """One change to a good one, and the message that must come of it."""
    assert line in GOOD
    path = tmp_path / "wrong.toml"
    path.write_text(GOOD.replace(line, instead), encoding="utf-8")
    with pytest.raises(ModelError) as raised:
        read_manifest(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert words in str(raised.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    """So is a file that can't be read."""
    with pytest.raises(ModelError, match=r"none\.toml"):
        read_manifest(tmp_path / "none.toml")


def test_every_field_is_documented() -> None:
    """Whoever writes a manifest finds each key explained."""
    for table in (Manifest, Input, Output, Classes):
        for name, field in table.model_fields.items():
            assert field.description, f"{table.__name__}.{name}"


def test_person_is_all_but_the_first_class_unless_the_manifest_lists_others() -> None:
    """Most models call their first class background."""
    assert Classes(names=("background", "head", "torso")).person == ()
    assert read_manifest(PACKAGED / "schp-pascal.toml").possible[:2] == (
        "upper_body_mask",
        "lower_body_mask",
    )
