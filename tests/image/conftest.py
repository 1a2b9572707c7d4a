"""The image, built once from a clean checkout, and the local stack for what runs in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.image.containers import IMAGE, Store, checkout, ensure_base


@pytest.fixture(scope="session")
def store() -> Store:
    store = Store.opened()
    ensure_base(store)
    return store


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout."""
    return checkout(tmp_path_factory.mktemp("image") / "source")


@pytest.fixture(scope="session")
def layers(store: Store, source: Path) -> list[str]:
    """The layers of the image."""
    return store.build(source, IMAGE, "--build-arg=REVISION=abc123")


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as stack:
        yield stack
