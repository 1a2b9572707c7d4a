"""Names and headers of copies and redriven records."""

import pytest

from schemas import redrive, replay

ARRIVED = [("a", b"1"), ("mask-redrive-of", b"dlq/0/1"), ("mask-redrives", b"1"), ("a", None)]


def test_the_headers_of_an_earlier_redrive_are_replaced() -> None:
    assert (redrive.redrive_of(ARRIVED), redrive.redrives(ARRIVED)) == ("dlq/0/1", 1)
    name = redrive.letter_name("dlq", 0, 7)
    assert redrive.redriven_headers(ARRIVED, letter=name, times=2) == [
        ("a", b"1"),
        ("a", None),
        ("mask-redrive-of", b"dlq/0/7"),
        ("mask-redrives", b"2"),
    ]


@pytest.mark.parametrize(
    ("headers", "times"),
    [
        ([], 0),
        ([("mask-redrives", b"x"), ("mask-redrive-of", b"d/0/1")], 1),
        ([("mask-redrives", b"-3")], 0),
    ],
)
def test_strange_headers_are_no_error(headers: list[tuple[str, bytes | None]], times: int) -> None:
    assert redrive.redrives(headers) == times


def test_a_copys_name_tells_its_original() -> None:
    assert replay.copy_id("r.1", 17) == "r.1:17"
    assert replay.copied_offset("r.1:17", "r.1") == 17
    assert replay.copied_offset("r:17", "r.1") is None
    assert replay.copied_offset("r.1:x", "r.1") is None
    assert replay.read_range([replay.write_range(range(3, 9))]) == range(3, 9)
    assert replay.read_range([(replay.RANGE, None), (replay.RANGE, b"-")]) is None


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "x" * 65, "ä"])
def test_a_replays_name_has_its_form(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        replay.check_replay_id(name)
