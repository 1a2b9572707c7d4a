"""A consumer that breaks its promise is found out: the laboratory's runs can fail."""

from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory.planted import PLANTED
from tests.laboratory.run import try_planted

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", [one.name for one in PLANTED.values() if not one.strikes])
async def test_a_planted_fault_is_caught(stack: LocalStack, tmp_path: Path, name: str) -> None:
    """The check that is for it fails."""
    report = await try_planted(stack, PLANTED[name], folder=tmp_path, seed=2026)
    print(report)

    assert PLANTED[name].caught_by in report.against
