"""What befalls single brokers of a cluster of three, and two of them at once."""

import asyncio

from tests.laboratory.cluster import BROKERS, Broker, ClusterStack
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.moments import goes_on, in_the_midst
from tests.laboratory.schedule import Fault
from tests.support.consumer_process import until
from tests.support.topics import administration

OFFSETS = "__consumer_offsets"
TRANSACTIONS = "__transaction_state"
"""One partition each: its leader coordinates every group, or every transaction."""
PAUSE_SECONDS = 20.0
AWAY_SECONDS = 60.0
ON_TWO = 40
"""Records that two brokers serve, the third being away."""
LIVE_SECONDS = 10.0


async def leader_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker that leads the jobs topic: the line goes on with two, and with it again."""
    await _killed(laboratory, fault, laboratory.line.jobs)


async def status_leader_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker that leads the status topic: the line goes on with two."""
    await _killed(laboratory, fault, laboratory.line.status)


async def group_coordinator_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker that coordinates the group: the line goes on with two."""
    await _killed(laboratory, fault, OFFSETS)


async def transaction_coordinator_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker that coordinates transactions: the line goes on with two."""
    await _killed(laboratory, fault, TRANSACTIONS)


async def leader_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the broker that leads the jobs topic for 20 s: the line goes on with two."""
    await _paused(laboratory, fault, laboratory.line.jobs)


async def group_coordinator_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the broker that coordinates the group for 20 s: the line goes on with two."""
    await _paused(laboratory, fault, OFFSETS)


async def rolling_restart(laboratory: Laboratory, fault: Fault) -> None:
    """End each broker cleanly and start it again, one after the other, all in sync between."""
    owner = await in_the_midst(laboratory, fault)
    for broker in _stack(laboratory).brokers:
        await asyncio.to_thread(broker.restart)
        await _in_sync(laboratory)
        await laboratory.refill()
    await goes_on(laboratory, owner)


async def two_away(laboratory: Laboratory, fault: Fault) -> None:
    """Kill two of three brokers for 60 s: nothing can be settled, and the owner lives."""
    owner = await in_the_midst(laboratory, fault)
    leader = await _leader(laboratory, laboratory.line.jobs)
    brokers = _stack(laboratory).brokers
    away = [leader, brokers[leader.number % BROKERS]]
    for broker in away:
        broker.kill()
    await asyncio.sleep(AWAY_SECONDS)
    await owner.until_answered("/livez", lambda status, _: status == 200, seconds=LIVE_SECONDS)
    await asyncio.gather(*(asyncio.to_thread(broker.restart) for broker in away))
    await goes_on(laboratory, owner)
    await _in_sync(laboratory)


async def _killed(laboratory: Laboratory, fault: Fault, topic: str) -> None:
    leader = await _leader(laboratory, topic)
    await laboratory.add(2 * ON_TWO)
    owner = await in_the_midst(laboratory, fault)
    leader.kill()
    await laboratory.moves_on(ON_TWO)
    recovered_from = laboratory.mended_at
    await asyncio.to_thread(leader.restart)
    await _in_sync(laboratory)
    await goes_on(laboratory, owner)
    laboratory.mended_at = recovered_from


async def _paused(laboratory: Laboratory, fault: Fault, topic: str) -> None:
    leader = await _leader(laboratory, topic)
    await laboratory.add(2 * ON_TWO)
    owner = await in_the_midst(laboratory, fault)
    leader.pause()
    try:
        await laboratory.moves_on(ON_TWO)
        recovered_from = laboratory.mended_at
        await asyncio.sleep(PAUSE_SECONDS)
    finally:
        leader.resume()
    await _in_sync(laboratory)
    await goes_on(laboratory, owner)
    laboratory.mended_at = recovered_from


def _stack(laboratory: Laboratory) -> ClusterStack:
    if not isinstance(laboratory.stack, ClusterStack):
        raise TypeError(f"a {type(laboratory.stack).__name__} has one broker")
    return laboratory.stack


async def _leader(laboratory: Laboratory, topic: str) -> Broker:
    async with administration(laboratory.bootstrap) as admin:
        (found,) = await admin.describe_topics([topic])
    number: int = found["partitions"][0]["leader"]
    return _stack(laboratory).brokers[number - 1]


async def _in_sync(laboratory: Laboratory) -> None:
    """Wait until every topic has all its replicas in sync: the next fault meets a whole cluster."""
    line = laboratory.line
    topics = [line.jobs, line.status, line.dead_letters, line.control, OFFSETS, TRANSACTIONS]
    async with administration(laboratory.bootstrap) as admin:

        async def are_in_sync() -> bool:
            found = await admin.describe_topics(topics)
            return all(len(one["partitions"][0]["isr"]) == BROKERS for one in found)

        await until(are_in_sync, "all replicas are in sync")
