"""What is kept with the committed offset is read back, whoever wrote it."""

import re

import pytest

from consumer.kafka.committed import Committed, Kept, RunProgress

FULL = Kept(bookmark=812, topic_id="QeLCRaCNTouGNyYPV5J1gw", failures=100, halted=True)


def test_what_is_written_is_read() -> None:
    """Every field."""
    assert FULL.write() == "status:812 topic:QeLCRaCNTouGNyYPV5J1gw failures:100 halted:1"
    assert Kept.read(FULL.write()) == FULL


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ("status:812", Kept(bookmark=812)),
        ("", Kept()),
        ("somebody else's", Kept()),
        ("status:5 later:form failures:2", Kept(bookmark=5, failures=2)),
        ("status:x halted:0 topic:!", Kept()),
    ],
)
def test_other_forms_are_read_as_far_as_they_go(metadata: str, kept: Kept) -> None:
    """That of the version before, another tool's, and a later version's."""
    assert Kept.read(metadata) == kept


def test_where_there_is_no_more_to_say_the_form_is_that_of_before() -> None:
    """What the version before matches."""
    assert re.fullmatch(r"status:(\d+)", Kept(bookmark=7).write())


def test_a_runs_progress_is_kept_with_the_offset() -> None:
    """What it was told, and how its records ended; the line's own commits have none."""
    run = RunProgress(range(3, 900)).plus(["completed", "failed", "completed", "cancelled"])
    written = Kept(bookmark=7, run=run).write()
    assert written == "status:7 range:3-900 ended:2-1-1"
    assert Kept.read(written) == Kept(bookmark=7, run=run)
    assert Kept.read("status:7 range:3 ended:2-1-1").run is None


def test_a_halt_ends_with_its_topic() -> None:
    """The offsets of another topic say nothing."""
    halted = Committed(offset=10, kept=FULL, topic_id=FULL.topic_id)
    assert (halted.made_anew, halted.halted_after) == (False, 9)
    other = Committed(offset=10, kept=FULL, topic_id="another")
    assert (other.made_anew, other.halted_after) == (True, None)
