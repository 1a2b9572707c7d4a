"""The programs that check the chart, fetched once."""

from pathlib import Path

import pytest

from tests.chart import programs
from tests.chart.programs import Programs
from tests.chart.rendering import Helm


@pytest.fixture(scope="session")
def chart_programs() -> Programs:
    return programs.fetch()


@pytest.fixture(scope="session")
def helm(chart_programs: Programs) -> Helm:
    return Helm(chart_programs.helm)


@pytest.fixture(scope="session")
def schemas(chart_programs: Programs) -> Path:
    return chart_programs.schemas
