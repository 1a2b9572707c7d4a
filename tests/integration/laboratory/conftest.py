"""A stack for the laboratory alone: its broker, its S3 and its service are ill-treated."""

from collections.abc import Iterator

import pytest

from producer_tools.local.stack import LocalStack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Kafka, S3 and the mask-asset service of the laboratory."""
    with LocalStack(masks_in_memory=True) as stack:
        yield stack
