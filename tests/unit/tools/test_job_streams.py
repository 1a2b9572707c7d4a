"""A job's stream while the view is behind the status topic, or before it, without a stack."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.settings import KafkaSettings
from producer_tools.gateway.events import Hub, Message
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.streams import _Streams
from producer_tools.view.queries import Story
from producer_tools.view.tables import Shown

BEGUN = Message(3, 0, False, b"begun")
DONE = Message(4, 0, True, b"done")
OTHER = Message(5, 1, True, b"another job's")


class Keeper:
    """A view that knows of a job's events up to one offset, or of none."""

    def __init__(self, event_offset: int | None) -> None:
        row = SimpleNamespace(
            offset=0,
            event_offset=event_offset,
            settled=event_offset == DONE.offset,
            shown=Shown.QUEUED,
            user_id="u",
        )
        self.story = cast("Story", SimpleNamespace(row=row))

    async def ask(self, _question: Any) -> Story:
        """Answer after a moment, as a thread does."""
        await asyncio.sleep(0)
        return self.story


async def frames(
    known: int | None, *, published: list[Message], later: list[Message], after: int | None = None
) -> list[bytes]:
    """Give what a stream sends; `later` is published after the first event that it sends."""
    hub = Hub(KafkaSettings.model_construct())
    for message in published:
        hub._publish(message)
    keeper = Keeper(known)
    streams = _Streams(cast("Parts", SimpleNamespace(hub=hub, keeper=keeper)))
    found = []
    async with asyncio.timeout(10):
        async for frame in streams._one(keeper.story, after):
            found.append(frame)
            while later and len(found) == 2:
                hub._publish(later.pop(0))
    return found[1:]


@pytest.mark.parametrize("known", [None, BEGUN.offset])
async def test_a_stream_ends_though_the_view_has_not_seen_the_end(known: int | None) -> None:
    """The hub published it before the stream began; so nothing more would come."""
    assert [b"done"] == await frames(known, published=[BEGUN, DONE, OTHER], later=[])


@pytest.mark.parametrize("known", [None, BEGUN.offset, DONE.offset])
async def test_a_stream_goes_on_after_the_last_event_with_none(known: int | None) -> None:
    """`Last-Event-ID` is the terminal event's: it ends at once."""
    found = await frames(known, published=[BEGUN, DONE], later=[], after=DONE.offset)
    assert [] == found


async def test_what_is_published_while_a_stream_begins_is_sent_once() -> None:
    assert [b"begun", b"done"] == await frames(BEGUN.offset, published=[BEGUN], later=[DONE, OTHER])
    assert [b"done"] == await frames(DONE.offset, published=[DONE], later=[OTHER])
