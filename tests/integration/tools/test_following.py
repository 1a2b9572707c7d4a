"""Following the status topic: each event of the line once, whatever else is in the topic."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer

from producer_tools.client.following import Followed, follow
from producer_tools.errors import ServiceError
from tests.integration.tools.conftest import ToolLine
from tests.support.raw_batches import Latin, batch_of, repacked, send_batch

pytestmark = pytest.mark.integration

Said = tuple[str, int]
"""An event's state, and the offset of its job's record."""


async def take(events: AsyncGenerator[Followed, None], count: int) -> list[Followed]:
    """Take so many events, and end."""
    async with aclosing(events), asyncio.timeout(30):
        found: list[Followed] = []
        async for followed in events:
            found.append(followed)
            if len(found) == count:
                break
        return found


def said(found: list[Followed]) -> list[Said]:
    """Return what the events say."""
    return [(each.event.state, each.event.source.offset) for each in found]


async def test_each_event_comes_once(tool_line: ToolLine) -> None:
    """No late event, no second terminal one, none of a replay run, and nothing that is no event."""
    await tool_line.event("processing", 0)
    await tool_line.event("completed", 0)
    await tool_line.event("processing", 0)
    await tool_line.event("completed", 0)
    await tool_line.event("failed", 1, replay_id="r")
    await tool_line.write(tool_line.kafka.status_topic, b"\xff{")
    await tool_line.write(tool_line.kafka.status_topic, None, key=b"k" * 1_000_000)
    await tool_line.event("retrying", 0)
    await tool_line.event("processing", 1)
    await tool_line.event("cancelled", 1)
    found = await take(follow(tool_line.kafka, from_offset=0), 4)
    assert [("processing", 0), ("completed", 0), ("processing", 1), ("cancelled", 1)] == said(found)


async def test_late_events_of_what_ended_before_are_known(tool_line: ToolLine) -> None:
    """What ended before the offset to begin at is looked up."""
    await tool_line.event("completed", 4)
    start = await tool_line.event("processing", 4) + 1
    await tool_line.event("retrying", 4)
    await tool_line.event("processing", 5)
    assert [("processing", 5)] == said(await take(follow(tool_line.kafka, from_offset=start), 1))


async def test_an_aborted_event_is_not_seen(tool_line: ToolLine) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=tool_line.kafka.kafka_bootstrap_servers, transactional_id="aborting"
    )
    async with producer:
        await producer.begin_transaction()
        await producer.send_and_wait(tool_line.kafka.status_topic, b"{}")
        await producer.abort_transaction()
    await tool_line.event("completed", 0)
    assert [("completed", 0)] == said(await take(follow(tool_line.kafka, from_offset=0), 1))


async def test_a_group_goes_on_where_it_was(tool_line: ToolLine) -> None:
    """An event is done when the next one is asked for."""
    for offset in range(4):
        await tool_line.event("completed", offset)
    group = f"{tool_line.kafka.consumer_group}-reader"
    events = follow(tool_line.kafka, from_offset=0, group=group)
    assert [0, 1] == [offset for _, offset in said(await take(events, 2))]
    again = await take(follow(tool_line.kafka, group=group), 3)
    assert [1, 2, 3] == [offset for _, offset in said(again)]


async def test_an_offset_goes_on_behind_it(tool_line: ToolLine) -> None:
    for offset in range(3):
        await tool_line.event("completed", offset)
    first = await take(follow(tool_line.kafka, from_offset=0), 1)
    rest = await take(follow(tool_line.kafka, from_offset=first[0].offset + 1), 2)
    assert [1, 2] == [offset for _, offset in said(rest)]


async def test_an_offset_beyond_the_end_is_an_error(tool_line: ToolLine) -> None:
    """It is of another topic, and its next event would come, if ever, after long silence."""
    with pytest.raises(ServiceError, match="made anew"):
        await take(follow(tool_line.kafka, from_offset=7), 1)


async def test_a_jobs_topic_made_anew_begins_anew(tool_line: ToolLine) -> None:
    """Its offsets begin at 0 again. Late events of the topic before are dropped."""
    old, new = [("ce_topicid", b"old")], [("ce_topicid", b"new")]
    await tool_line.event("completed", 9, headers=old)
    await tool_line.event("processing", 0, headers=new)
    await tool_line.event("retrying", 10, headers=old)
    await tool_line.event("completed", 0, headers=new)
    found = await take(follow(tool_line.kafka, from_offset=0), 3)
    assert [("completed", 9), ("processing", 0), ("completed", 0)] == said(found)


async def test_records_that_no_client_can_read_are_dropped(tool_line: ToolLine) -> None:
    servers, topic = tool_line.kafka.kafka_bootstrap_servers, tool_line.kafka.status_topic
    await send_batch(servers, topic, batch_of([(b"b", b"{}", [(Latin("x"), b"")])]))
    bomb = repacked(batch_of([(b"d", bytes(20_000_000), [])]), "gzip", gzip.compress)
    await send_batch(servers, topic, bomb)
    await tool_line.event("completed", 0)
    assert [("completed", 0)] == said(await take(follow(tool_line.kafka, from_offset=0), 1))
