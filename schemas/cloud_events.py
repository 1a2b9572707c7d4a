"""The headers of a status event: CloudEvents 1.0 in Kafka's binary mode."""

ID = "ce_id"
TYPE = "ce_type"
SOURCE = "ce_source"
TIME = "ce_time"
SUBJECT = "ce_subject"
SPEC_VERSION = "ce_specversion"
CONTENT_TYPE = "content-type"
TOPIC_ID = "ce_topicid"
"""An extension of ours: the id of the jobs topic. A topic made later under its name has another."""

VERSION = "1.0"
JSON = "application/json"


def event_type(state: str) -> str:
    """Return the `ce_type` of an event with this state."""
    return f"maskline.job.{state}.v1"


def event_source(group: str) -> str:
    """Return the `ce_source` of a consumer group's events."""
    return f"/maskline/{group}"
