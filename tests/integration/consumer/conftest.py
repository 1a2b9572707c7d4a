"""A line of its own for each test, with the trivial model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.support.bench import Bench
from tests.support.line_names import LineNames, create_topics
from tests.support.models import write_light_catalog


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trivial model."""
    folder = tmp_path_factory.mktemp("models")
    write_light_catalog(folder)
    return folder


@pytest.fixture
def bare_bench(behaving_stack: LocalStack, line: LineNames, model_folder: Path) -> Iterator[Bench]:
    """A line whose topics don't exist yet."""
    bench = Bench(behaving_stack, line, model_folder)
    yield bench
    bench.stop()


@pytest.fixture
async def bench(bare_bench: Bench) -> Bench:
    """A line with its topics."""
    await create_topics(bare_bench.environment)
    return bare_bench
