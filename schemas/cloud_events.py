"""CloudEvents 1.0 in Kafka's binary mode: the headers of a status event."""

from typing import Final

ID: Final = "ce_id"
TYPE: Final = "ce_type"
SOURCE: Final = "ce_source"
TIME: Final = "ce_time"
SUBJECT: Final = "ce_subject"
SPEC_VERSION: Final = "ce_specversion"
CONTENT_TYPE: Final = "content-type"

VERSION: Final = "1.0"
JSON: Final = "application/json"


def event_type(state: str) -> str:
    """Give the `ce_type` of an event of that state."""
    return f"maskline.job.{state}.v1"


def event_source(group: str) -> str:
    """Give the `ce_source` of a consumer group's events."""
    return f"/maskline/{group}"
