"""A broker ends sessions and forgets old secrets: nothing is lost, and no lane with it.

A cut. `make faults ARGS="--schedule sessions"` does it for ten minutes, with sessions of one.
"""

from pathlib import Path

import pytest

from producer_tools.local.stack import LocalStack
from tests.laboratory import sessions

pytestmark = pytest.mark.integration

LONGEST_STOP = 15.0


async def test_sessions_that_end_break_nothing_off(stack: LocalStack, tmp_path: Path) -> None:
    """A password, an access token; each is replaced once, and the old one refused."""
    served = await sessions.run(
        stack,
        folder=tmp_path,
        session_seconds=4,
        seconds=12,
        every=0.2,
        ways=("scram", "oauth"),
    )
    for line in served:
        assert [] == line.wrong, str(line)
        assert 0 == line.lanes_lost, str(line)
        assert line.longest_stop(at_renewal=True) < LONGEST_STOP
