"""schemathesis over the OpenAPI: no 5xx, and each answer is one that is described."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.gateway_line import Line

pytestmark = pytest.mark.integration

EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.filterwarnings("ignore")
def test_every_answer_is_described(still: Line) -> None:
    """All calls but the streams."""
    schema = schemathesis.openapi.from_url(f"{still.url}/openapi.json")
    paths: set[str] = set()
    for result in schema.exclude(path_regex=r"/events$").get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        paths.add(operation.path)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            case.call_and_validate(timeout=30, checks=CHECKS)

        check()
    assert {"/process", "/queue/submit", "/api/v1/submit", "/readyz"} <= paths
