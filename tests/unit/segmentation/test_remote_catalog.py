"""A remote model in the catalog: beside the local ones, and no reason not to start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from segmentation.catalog.catalog import Catalog
from segmentation.catalog.inspection import inspect, list_models
from segmentation.deadline import Deadline
from segmentation.errors import EngineUnavailable, ModelError
from segmentation.model.manifest import read_manifest
from tests.support.models import write_trivial_body_model
from tests.support.v2_server import V2Server

Open = Callable[[Path, str], Catalog]
CPU = ["CPUExecutionProvider"]


@pytest.fixture
def server(catalog: Catalog) -> Iterator[V2Server]:
    """A server of `trivial`."""
    with V2Server(catalog.model("trivial"), binary=True) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, server: V2Server) -> Path:
    """A folder with `trivial`, and with `distant`, which is that server's."""
    write_trivial_body_model(tmp_path)
    describe(tmp_path, f'url = "{server.url}"')
    return tmp_path


def describe(folder: Path, place: str) -> Path:
    """Write `distant.toml`: the manifest of `trivial`, elsewhere."""
    text = (folder / "trivial.toml").read_text().replace('name = "trivial"', 'name = "distant"')
    path = folder / "distant.toml"
    path.write_text(text.replace('file = "trivial.onnx"', place))
    return path


def test_a_remote_model_is_warmed_and_run_as_any_other(
    folder: Path, open_catalog: Open, deadline: Deadline
) -> None:
    """Its manifest may be the default's; there is no SHA-256."""
    catalog = open_catalog(folder, "distant.toml")
    assert catalog.warm() == []
    distant, trivial = catalog.model(None), catalog.model("trivial")
    assert (distant.manifest.name, distant.manifest.sha256) == ("distant", None)
    tensor = np.ones((1, 3, 16, 16), np.float32)
    np.testing.assert_array_equal(trivial.run(tensor, deadline), distant.run(tensor, deadline))


def test_a_server_that_is_away_does_not_stop_a_start(
    folder: Path, open_catalog: Open, server: V2Server, deadline: Deadline
) -> None:
    """Warming logs it, and the model's jobs will wait."""
    server.stop()
    catalog = open_catalog(folder, "trivial.onnx")
    (away,) = catalog.warm()
    assert f"model 'distant' at http://127.0.0.1:{server.port}" in away
    assert "distant" in catalog.names
    with pytest.raises(EngineUnavailable):
        catalog.model("distant").run(np.ones((1, 3, 16, 16), np.float32), deadline)


def test_a_server_that_has_another_model_ends_the_start(
    folder: Path, open_catalog: Open, server: V2Server
) -> None:
    """The manifest is wrong, or the URL."""
    server.inputs = [{"name": "tokens", "datatype": "INT64", "shape": [-1, 77]}]
    with pytest.raises(ModelError, match="isn't what its manifest says"):
        open_catalog(folder, "trivial.onnx").warm()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "file or url: exactly one"),
        ('file = "a.onnx"\nurl = "http://h/v2/models/a"', "file or url: exactly one"),
        (f'url = "http://h/v2/models/a"\nsha256 = "{"0" * 64}"', "sha256: there is no file"),
        ('file = "a.onnx"\nbinary = true', "binary: only a model with a url"),
        ('url = "ftp://h/v2/models/a"', "not an absolute http"),
        ('url = "http:///v2/models/a"', "not an absolute http"),
        ('url = "http://h:99999/v2/models/a"', "url: .*[Pp]ort"),
        ('url = "http://me:secret@h/v2/models/a"', "a URL with a user"),
        ('url = "http://h/v2/models/a?b=c"', "a URL with a user, a query"),
        ('url = "http://h/v2/models/a/infer"', "must end in /v2/models/NAME"),
        ('url = "http://h:8000"', "must end in /v2/models/NAME"),
    ],
)
def test_a_wrong_place_is_named(folder: Path, place: str, words: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ModelError, match=words):
        read_manifest(describe(folder, place))


@pytest.mark.parametrize(
    "url", ["https://h/v2/models/a", "http://h:1/pre/fix/v2/models/a/versions/2/", "http://[::1]/v2/models/a"]
)  # fmt: skip
def test_the_urls_of_a_model(folder: Path, url: str) -> None:
    """With or without a version, a path before it, or a slash after it."""
    manifest = read_manifest(describe(folder, f'url = "{url}"'))
    assert manifest.url == manifest.location == url.rstrip("/")


def test_list_shows_the_url(folder: Path, server: V2Server) -> None:
    """As installed: no file is missing."""
    (distant,) = (model for model in list_models(folder, None) if model.name == "distant")
    assert (distant.file, distant.installed) == (server.url, True)


def test_check_runs_it(folder: Path, server: V2Server) -> None:
    """With the server, its ports and its time; or as out of reach."""
    path = folder / "distant.toml"
    found = inspect(path, folder=folder, providers=CPU, threads=[1])
    assert (found.file, found.sha256, found.providers) == (server.url, None, ("test 1",))
    assert [str(port) for port in found.inputs] == ["photo float[1, 3, 16, 16]"]
    assert found.problems == ()
    assert found.gives == found.manifest.possible if found.manifest else ()
    assert list(found.milliseconds) == [0]
    server.stop()
    with pytest.raises(EngineUnavailable):
        inspect(path, folder=folder, providers=CPU, threads=[1])


def test_check_of_a_local_models_manifest_names_its_file(folder: Path) -> None:
    """The file is what is checked."""
    with pytest.raises(ModelError, match=r"name its file, trivial\.onnx"):
        inspect(folder / "trivial.toml", folder=folder, providers=CPU, threads=[1])
