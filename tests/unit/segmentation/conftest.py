from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.segment import ImageLimits
from tests.support.models import write_hanging_body_model, write_trivial_body_model
from tests.support.photos import LIMITS


@pytest.fixture
def limits() -> ImageLimits:
    """The defaults."""
    return LIMITS


@pytest.fixture
def deadline() -> Deadline:
    """One that no test should reach."""
    return Deadline(60)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `trivial` and `hanging`."""
    folder = tmp_path_factory.mktemp("models")
    write_trivial_body_model(folder)
    write_hanging_body_model(folder)
    return folder


@pytest.fixture(scope="session")
def open_catalog() -> Iterator[Callable[[Path, str], Catalog]]:
    """Loads a folder's catalog on one thread."""
    opened: list[Catalog] = []

    def open_(folder: Path, body_model: str) -> Catalog:
        catalog = Catalog.load(
            folder=folder, body_model=body_model, providers=["CPUExecutionProvider"], threads=1
        )
        opened.append(catalog)
        return catalog

    yield open_
    for catalog in opened:
        catalog.close()


@pytest.fixture(scope="session")
def catalog(model_folder: Path, open_catalog: Callable[[Path, str], Catalog]) -> Catalog:
    """`trivial`, the default, and `hanging`."""
    return open_catalog(model_folder, "trivial.onnx")
