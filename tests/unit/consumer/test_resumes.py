"""A resume lifts halts of the jobs topic that it was asked for, and of no other of its name."""

from datetime import UTC, datetime

import pytest
from aiokafka.structs import ConsumerRecord

from consumer.line.cancellation import Cancellations
from consumer.settings import KafkaSettings
from schemas.cloud_events import TOPIC_ID
from schemas.control import RESUME_KEY, Resume

ASKED_AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def resumed(topic_id: bytes | None, *, now: str) -> Cancellations:
    """The control topic has a resume behind offset 40 of that topic; the jobs topic is `now`."""
    value = Resume(after_offset=40, requested_at=ASKED_AT).write()
    headers = () if topic_id is None else ((TOPIC_ID, topic_id),)
    record = ConsumerRecord(
        "mask.control", 0, 0, 0, 0, RESUME_KEY, value, None, 0, len(value), headers
    )
    cancellations = Cancellations(KafkaSettings())
    cancellations.topic_id = now
    cancellations._note(record)
    return cancellations


@pytest.mark.parametrize(
    ("written_for", "now", "lifted"),
    [
        (b"one", "one", True),
        (b"one", "another", False),
        (b"one", "", True),  # a broker that knows no ids
        (b"", "one", True),
        (None, "one", True),
    ],
)
def test_a_resume_lifts_the_halts_of_its_own_topic(
    written_for: bytes | None, now: str, lifted: bool
) -> None:
    """Offsets of a topic that was made anew mean other records."""
    cancellations = resumed(written_for, now=now)
    assert cancellations.is_lifted(40) is lifted
    assert not cancellations.is_lifted(41)
