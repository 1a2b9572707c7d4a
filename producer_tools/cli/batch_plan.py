"""A batch by its name: which of its jobs are in the topic already, so that none is sent twice."""

from collections.abc import Sequence

from producer_tools.cli.given import Given
from producer_tools.cli.submission import Sending
from producer_tools.errors import InvalidJobError
from producer_tools.view.queries import Queries, Story


def check_name(name: str, size: int) -> None:
    """Check that job ids can be made of the batch's name.

    Raises:
        InvalidJobError: They can't.
    """
    longest = f"{name}:{size - 1}"
    allowed = all(each.isascii() and (each.isalnum() or each in "._:-") for each in name)
    if not name or not allowed or len(longest) > 128:
        raise InvalidJobError(
            f"--batch {name!r}: a batch's name has letters, digits and ._:- and, with an index,"
            " at most 128 characters"
        )


def find_earlier(queries: Queries, name: str) -> dict[int, Story]:
    """Return the jobs of the batch that are in the topic, by index."""
    stories = (queries.record(row.offset) for row in queries.batch_records(name))
    return {
        story.row.batch_index: story
        for story in stories
        if story is not None and story.row.batch_index is not None
    }


def check_same(name: str, given: Sequence[Given], earlier: dict[int, Story]) -> None:
    """Check that the jobs that are there are of these photos.

    Raises:
        InvalidJobError: They are of others.
    """
    for index, story in earlier.items():
        size = story.job.get("batch_size")
        filename = story.job.get("metadata", {}).get("filename")
        same = index < len(given) and filename == given[index].name
        if size != len(given) or not same:
            raise InvalidJobError(
                f"There is a batch {name} of {size} other photos. To go on with it, name the same"
                " photos; else name another batch"
            )


def note_earlier(sending: Sending, story: Story) -> None:
    """Note on a photo what the view knows of its job."""
    sending.offset = story.row.offset
    sending.state = story.row.shown.name.lower() if story.row.settled else "queued"
    if story.row.settled:
        sending.event = story.event
    elif story.row.shown.ended and story.error is not None:
        sending.state, sending.problem = "failed", story.error[1]
