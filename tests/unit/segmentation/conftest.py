from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
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


@pytest.fixture
def open_catalog() -> Iterator[Callable[[Path, str], Catalog]]:
    """Loads a folder's catalog on one thread. It is closed when its test has ended."""
    with ExitStack() as opened:

        def open_(folder: Path, body_model: str) -> Catalog:
            return opened.enter_context(closing(load(folder, body_model)))

        yield open_


@pytest.fixture(scope="session")
def catalog(model_folder: Path) -> Iterator[Catalog]:
    """`trivial`, the default, and `hanging`."""
    with closing(load(model_folder, "trivial.onnx")) as catalog:
        yield catalog


def load(folder: Path, body_model: str) -> Catalog:
    """Load a folder's catalog on one thread."""
    return Catalog.load(
        folder=folder, body_model=body_model, providers=["CPUExecutionProvider"], threads=1
    )
