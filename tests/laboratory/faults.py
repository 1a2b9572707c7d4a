"""What each fault does to the line, and what the line must do then."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.laboratory import cluster_faults, operators, receiver_faults
from tests.laboratory.laboratory import Laboratory
from tests.laboratory.moments import goes_on, in_the_midst, meets_failure, replaced
from tests.laboratory.schedule import Fault
from tests.laboratory.toxiproxy import Stream, Toxic
from tests.support.consumer_process import ConsumerProcess

BROKER_PAUSE_SECONDS = 14.0
"""Longer than a transaction's time-out of 10 s, and than a session's of 6 s."""
TAKEN_BY_NEXT = 40
BOTH_WAYS: tuple[Stream, Stream] = ("upstream", "downstream")
SILENT_SHARE = 0.1
SILENT_RECORDS = 200
SLOW = {"latency": {"latency": 200, "jitter": 100}, "bandwidth": {"rate": 64}}
"""Milliseconds, and KB a second, of each connection and direction."""

Do = Callable[[Laboratory, Fault], Awaitable[None]]


async def strike(laboratory: Laboratory, fault: Fault) -> None:
    """Let the fault happen, and return when the line has got over it."""
    await KINDS[fault.kind](laboratory, fault)


async def sigkill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner and start another at once."""
    owner = await in_the_midst(laboratory, fault)
    laboratory.kill(owner)
    laboratory.start()
    await laboratory.moves_on()


async def sigkill_settling(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner in the midst of a transaction: its events are written, and not committed."""
    await _killed_at_terminal_event(laboratory, fault, isolation="read_uncommitted")


async def sigkill_settled(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner right after a transaction: its events have just become visible."""
    await _killed_at_terminal_event(laboratory, fault, isolation="read_committed")


async def sigkill_at_start(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner, and its successor twice: when it has joined, and when its lane is open."""
    owner = await in_the_midst(laboratory, fault)
    for event in ("models.warmed", "lane.opened"):
        laboratory.kill(owner)
        owner = laboratory.start()
        await owner.until_logged(event)
    laboratory.kill(owner)
    laboratory.start()
    await laboratory.moves_on()


async def sigterm(laboratory: Laboratory, fault: Fault) -> None:
    """End the owner cleanly and start another."""
    owner = await in_the_midst(laboratory, fault)
    await laboratory.end(owner)
    laboratory.start()
    await laboratory.moves_on()


async def takeover(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the owner past its session: another takes over; then let it go on, as a zombie.

    The zombie must settle nothing, join anew and serve as the standby: the other is killed then.
    """
    standby = laboratory.start()
    await standby.until_ready()
    zombie = await in_the_midst(laboratory, fault)
    other = next(owner for owner in laboratory.consumers if owner is not zombie)
    zombie.pause()
    lanes = len(other.entries("lane.opened"))
    try:
        await other.until_logged("lane.opened", times=lanes + 1)
        await laboratory.moves_on(TAKEN_BY_NEXT)
    finally:
        zombie.resume()
    await zombie.until_ready()
    await zombie.until_assigned(False)
    await laboratory.moves_on()
    laboratory.kill(other)
    await laboratory.moves_on()


async def rebalances(laboratory: Laboratory, fault: Fault) -> None:
    """Let two more come and go, one cleanly and one not, the owner among those who go."""
    owner = await in_the_midst(laboratory, fault)
    first, second = laboratory.start(), laboratory.start()
    await first.until_ready()
    await second.until_ready()
    await laboratory.end(owner)
    next_owner = await laboratory.owner()
    laboratory.kill(next_owner)
    await laboratory.moves_on()


async def rebalance_burst(laboratory: Laboratory, fault: Fault) -> None:
    """Let three leave, by SIGTERM and SIGKILL in turn, and three join, all within a moment."""
    await in_the_midst(laboratory, fault)
    for joining in [laboratory.start(), laboratory.start()]:
        await joining.until_ready()
    ending = []
    for number, leaving in enumerate(list(laboratory.consumers)):
        laboratory.start()
        if (number + fault.lines) % 2:
            laboratory.kill(leaving)
        else:
            ending.append(asyncio.create_task(laboratory.end(leaving)))
    await asyncio.gather(*ending)
    await laboratory.moves_on()
    for standby in laboratory.consumers[1:]:
        await standby.until_ready()
        await laboratory.end(standby)
    await laboratory.moves_on()


async def broker_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker and start it again on the same data."""
    await in_the_midst(laboratory, fault)
    laboratory.stack.kafka.kill()
    await asyncio.to_thread(laboratory.stack.kafka.restart)
    await laboratory.moves_on()


async def broker_restart(laboratory: Laboratory, fault: Fault) -> None:
    """End the broker cleanly and start it again on the same data."""
    await in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.kafka.restart)
    await laboratory.moves_on()


async def broker_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the broker past the transaction's time-out: the owner lives, and goes on by itself."""
    owner = await in_the_midst(laboratory, fault)
    laboratory.stack.kafka.pause()
    try:
        await asyncio.sleep(BROKER_PAUSE_SECONDS)
        await owner.until_answered("/livez", lambda status, _: status == 200, seconds=10)
    finally:
        laboratory.stack.kafka.resume()
    await laboratory.moves_on()
    laboratory.check_running()


async def s3_down(laboratory: Laboratory, fault: Fault) -> None:
    """Close S3: the line holds, and goes on when S3 is back."""
    owner = await in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.s3.down)
    try:
        await laboratory.add()
        await owner.until_holding("storage_unavailable")
        await asyncio.sleep(fault.seconds)
    finally:
        await asyncio.to_thread(laboratory.stack.s3.up)
    await goes_on(laboratory, owner)


async def rebalance_in_hold(laboratory: Laboratory, fault: Fault) -> None:
    """Let a standby come and go while the line holds: the owner holds on, nothing is given up."""
    owner = await in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.s3.down)
    try:
        await laboratory.add()
        await owner.until_holding("storage_unavailable")
        standby = laboratory.start()
        await standby.until_ready()
        await owner.until_holding("storage_unavailable")
        await laboratory.end(standby)
    finally:
        await asyncio.to_thread(laboratory.stack.s3.up)
    await goes_on(laboratory, owner)


async def s3_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop S3: its connections stay open and nothing comes."""
    await in_the_midst(laboratory, fault)
    laboratory.stack.s3.pause()
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        laboratory.stack.s3.resume()
    await laboratory.moves_on()


async def callback_503(laboratory: Laboratory, fault: Fault) -> None:
    """Let the mask-asset service answer 503; where it lasts, the line holds."""
    owner = await in_the_midst(laboratory, fault)
    laboratory.stack.mask_assets.misbehave(mode="status", status=503)
    await laboratory.add()
    await _held_by_callback(owner, fault.seconds)
    laboratory.behave()
    await goes_on(laboratory, owner)


async def callback_refuses(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the mask-asset service: connections are refused, and what it remembered is gone."""
    owner = await in_the_midst(laboratory, fault)
    service = laboratory.stack.mask_assets
    service.misbehave(mode="status", status=503)  # so that nothing is taken unseen
    await laboratory.keep_uploads(before_kill=True)
    service.kill()
    await laboratory.add()
    await _held_by_callback(owner, fault.seconds)
    await asyncio.to_thread(service.restart)
    await goes_on(laboratory, owner)


async def callback_cuts(laboratory: Laboratory, fault: Fault) -> None:
    """Cut answers half-way, the masks stored already: each job's upload is repeated."""
    await in_the_midst(laboratory, fault)
    laboratory.stack.mask_assets.misbehave(mode="close", store=True, times=8)
    await laboratory.moves_on()


async def callback_late(laboratory: Laboratory, fault: Fault) -> None:
    """Answer later than the caller waits, the masks stored already."""
    await in_the_midst(laboratory, fault)
    laboratory.stack.mask_assets.misbehave(delay_ms=(6000, 6000), times=4)
    await laboratory.moves_on()


async def wrong_secret(laboratory: Laboratory, fault: Fault) -> None:
    """Let a consumer with a wrong secret have its turn: it holds, and dead-letters nothing."""
    wrong = {"MASK_COMPONENT_SECRET": "not the service's"}
    await replaced(laboratory, fault, reason="MASK_COMPONENT_SECRET", wrong=wrong)


async def wrong_s3_key(laboratory: Laboratory, fault: Fault) -> None:
    """Let a consumer with an unknown S3 key have its turn: it holds, and dead-letters nothing."""
    wrong = {"AWS_ACCESS_KEY_ID": "unknown"}
    await replaced(laboratory, fault, reason="storage_unavailable", wrong=wrong)


async def wrong_s3_secret(laboratory: Laboratory, fault: Fault) -> None:
    """Let a consumer with a wrong S3 secret have its turn: it holds, and dead-letters nothing."""
    wrong = {"AWS_SECRET_ACCESS_KEY": "not the key's"}
    await replaced(laboratory, fault, reason="storage_unavailable", wrong=wrong)


async def cut(laboratory: Laboratory, fault: Fault, *, part: str) -> None:
    """Cut the part off: connections are closed and new ones refused."""
    owner = await in_the_midst(laboratory, fault)
    with laboratory.proxy(part).cut():
        await meets_failure(laboratory, owner, part)
        await asyncio.sleep(fault.seconds)
    await goes_on(laboratory, owner)


async def reset(laboratory: Laboratory, fault: Fault, *, part: str) -> None:
    """End each connection as soon as it is used; new ones by TCP's RST."""
    owner = await in_the_midst(laboratory, fault)
    toxics = [Toxic("reset_peer", stream, {"timeout": 0}) for stream in BOTH_WAYS]
    with laboratory.proxy(part).poisoned(*toxics):
        await meets_failure(laboratory, owner, part)
        await asyncio.sleep(fault.seconds)
    await goes_on(laboratory, owner)


async def half_close(laboratory: Laboratory, fault: Fault, *, part: str) -> None:
    """Lose all bytes one way, every connection staying open, until the owner gives up on it."""
    owner = await in_the_midst(laboratory, fault)
    losses = len(owner.entries("lane.lost"))
    silence = Toxic("timeout", BOTH_WAYS[fault.lines % 2], {"timeout": 0})
    with laboratory.proxy(part).poisoned(silence):
        if part == "kafka":
            await owner.until_logged("lane.lost", times=losses + 1)
        else:
            await meets_failure(laboratory, owner, part)
    await goes_on(laboratory, owner)


async def some_silent(laboratory: Laboratory, fault: Fault, *, part: str) -> None:
    """Lose all bytes one way of some connections, open or new: the line goes on meanwhile."""
    owner = await in_the_midst(laboratory, fault)
    silence = Toxic("timeout", BOTH_WAYS[fault.lines % 2], {"timeout": 0}, share=SILENT_SHARE)
    with laboratory.proxy(part).poisoned(silence):
        count = laboratory.watch.settled + SILENT_RECORDS
        await laboratory.has(count)
        # Each silent connection costs its 30 s: the line goes on, however long that takes it.
        await laboratory.reaches(count)
    await goes_on(laboratory, owner)


async def slow(laboratory: Laboratory, fault: Fault, *, part: str) -> None:
    """Let bytes come late and few at a time: the line goes on meanwhile."""
    owner = await in_the_midst(laboratory, fault)
    toxics = [Toxic(kind, stream, how) for kind, how in SLOW.items() for stream in BOTH_WAYS]
    with laboratory.proxy(part).poisoned(*toxics):
        await laboratory.moves_on(TAKEN_BY_NEXT)
        await asyncio.sleep(fault.seconds)
        await laboratory.moves_on()
    await goes_on(laboratory, owner)


KINDS: dict[str, Do] = {
    done.__name__: done
    for done in (
        sigkill,
        sigkill_settling,
        sigkill_settled,
        sigkill_at_start,
        sigterm,
        takeover,
        rebalances,
        rebalance_burst,
        broker_kill,
        broker_restart,
        broker_pause,
        s3_down,
        rebalance_in_hold,
        s3_pause,
        callback_503,
        callback_refuses,
        callback_cuts,
        callback_late,
        wrong_secret,
        wrong_s3_key,
        wrong_s3_secret,
        operators.cancels,
        operators.halt,
        operators.joins_in_hold,
        operators.topic_anew,
        receiver_faults.receiver_unread,
        receiver_faults.receiver_twice,
        receiver_faults.receiver_early,
        cluster_faults.leader_kill,
        cluster_faults.status_leader_kill,
        cluster_faults.group_coordinator_kill,
        cluster_faults.transaction_coordinator_kill,
        cluster_faults.leader_pause,
        cluster_faults.group_coordinator_pause,
        cluster_faults.rolling_restart,
        cluster_faults.two_away,
    )
}
KINDS |= {
    f"{part}_{done.__name__}": partial(done, part=part)
    for part in ("kafka", "s3", "callback")
    for done in (cut, reset, half_close, slow)
}
# Not Kafka's: the line needs ten connections to it at once, and is lost with any of them.
KINDS |= {f"{part}_some_silent": partial(some_silent, part=part) for part in ("s3", "callback")}


async def _held_by_callback(owner: ConsumerProcess, seconds: float) -> None:
    """Wait for the hold, if the outage outlasts the five retries; and for the outage's end."""
    retries = 31.0
    begin = asyncio.get_running_loop().time()
    if seconds > retries:
        await owner.until_holding("callback_unavailable")
    passed = asyncio.get_running_loop().time() - begin
    await asyncio.sleep(max(0.0, seconds - passed))


async def _killed_at_terminal_event(
    laboratory: Laboratory, fault: Fault, *, isolation: str
) -> None:
    """Kill the owner when its next terminal event can be read, and start another."""
    owner = await in_the_midst(laboratory, fault)
    await laboratory.at_next_terminal_event(partial(laboratory.kill, owner), isolation=isolation)
    laboratory.start()
    await laboratory.moves_on()
