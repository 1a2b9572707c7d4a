"""What each fault does to the line, and what the line must do then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tests.faults.laboratory import Laboratory
from tests.faults.owner import Owner
from tests.faults.schedule import Fault

BROKER_PAUSE_SECONDS = 14.0
"""Longer than a transaction's time-out of 10 s, and than a session's of 6 s."""
TAKEN_BY_NEXT = 40

Do = Callable[[Laboratory, Fault], Awaitable[None]]


async def strike(laboratory: Laboratory, fault: Fault) -> None:
    """Let the fault happen, and return when the line has got over it."""
    await KINDS[fault.kind](laboratory, fault)


async def sigkill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner and start another at once."""
    owner = await _in_the_midst(laboratory, fault)
    owner.kill()
    laboratory.dismiss(owner)
    laboratory.start()
    await laboratory.moves_on()


async def sigkill_settling(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner in the midst of a transaction: its events are written, and not committed."""
    owner = await _in_the_midst(laboratory, fault)
    await laboratory.strike_settling(owner.kill)
    laboratory.dismiss(owner)
    laboratory.start()
    await laboratory.moves_on()


async def sigkill_at_start(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the owner, and its successor twice: when it has joined, and when its lane is open."""
    owner = await _in_the_midst(laboratory, fault)
    for event in ("models.warmed", "lane.opened"):
        owner.kill()
        laboratory.dismiss(owner)
        owner = laboratory.start()
        await owner.says(event)
    owner.kill()
    laboratory.dismiss(owner)
    laboratory.start()
    await laboratory.moves_on()


async def sigterm(laboratory: Laboratory, fault: Fault) -> None:
    """End the owner cleanly and start another."""
    owner = await _in_the_midst(laboratory, fault)
    await owner.end()
    laboratory.dismiss(owner)
    laboratory.start()
    await laboratory.moves_on()


async def takeover(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the owner past its session: another takes over; then let it go on, as a zombie.

    The zombie must settle nothing, join anew and serve as the standby: the other is killed then.
    """
    standby = laboratory.start()
    await standby.is_ready()
    zombie = await _in_the_midst(laboratory, fault)
    other = next(owner for owner in laboratory.owners if owner is not zombie)
    zombie.pause()
    reigns = len(other.said("lane.opened"))
    try:
        await other.says("lane.opened", times=reigns + 1)
        await laboratory.moves_on(TAKEN_BY_NEXT)
    finally:
        zombie.resume()
    await zombie.is_ready()
    await zombie.answers("/stats", lambda _, stats: stats.get("assigned") is False)
    await laboratory.moves_on()
    other.kill()
    laboratory.dismiss(other)
    await laboratory.moves_on()


async def rebalances(laboratory: Laboratory, fault: Fault) -> None:
    """Let two more come and go, one cleanly and one not, the owner among those who go."""
    owner = await _in_the_midst(laboratory, fault)
    first, second = laboratory.start(), laboratory.start()
    await first.is_ready()
    await second.is_ready()
    await owner.end()
    laboratory.dismiss(owner)
    next_owner = await laboratory.ruler()
    next_owner.kill()
    laboratory.dismiss(next_owner)
    await laboratory.moves_on()


async def broker_kill(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the broker and start it again on the same data."""
    await _in_the_midst(laboratory, fault)
    laboratory.stack.kafka.kill()
    await asyncio.to_thread(laboratory.stack.kafka.restart)
    await laboratory.moves_on()


async def broker_restart(laboratory: Laboratory, fault: Fault) -> None:
    """End the broker cleanly and start it again on the same data."""
    await _in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.kafka.restart)
    await laboratory.moves_on()


async def broker_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop the broker past the transaction's time-out: the owner lives, and goes on by itself."""
    owner = await _in_the_midst(laboratory, fault)
    laboratory.stack.kafka.pause()
    try:
        await asyncio.sleep(BROKER_PAUSE_SECONDS)
        await owner.answers("/livez", lambda status, _: status == 200, seconds=10)
    finally:
        laboratory.stack.kafka.resume()
    await laboratory.moves_on()
    laboratory.watch_owners()


async def s3_down(laboratory: Laboratory, fault: Fault) -> None:
    """Close S3: the line holds and says so, and goes on when S3 is back."""
    owner = await _in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.s3.down)
    try:
        await laboratory.add()
        await owner.holds("storage_unavailable")
        await asyncio.sleep(fault.seconds)
    finally:
        await asyncio.to_thread(laboratory.stack.s3.up)
    await laboratory.moves_on()
    await owner.is_ready()


async def rebalance_in_hold(laboratory: Laboratory, fault: Fault) -> None:
    """Let a standby come and go while the line holds: the owner holds on, nothing is given up."""
    owner = await _in_the_midst(laboratory, fault)
    await asyncio.to_thread(laboratory.stack.s3.down)
    try:
        await laboratory.add()
        await owner.holds("storage_unavailable")
        standby = laboratory.start()
        await standby.is_ready()
        await owner.holds("storage_unavailable")
        await standby.end()
        laboratory.dismiss(standby)
    finally:
        await asyncio.to_thread(laboratory.stack.s3.up)
    await laboratory.moves_on()
    await owner.is_ready()


async def s3_pause(laboratory: Laboratory, fault: Fault) -> None:
    """Stop S3: its connections stay open and nothing comes."""
    await _in_the_midst(laboratory, fault)
    laboratory.stack.s3.pause()
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        laboratory.stack.s3.resume()
    await laboratory.moves_on()


async def callback_503(laboratory: Laboratory, fault: Fault) -> None:
    """Let the mask-asset service answer 503; where it lasts, the line holds."""
    owner = await _in_the_midst(laboratory, fault)
    service = laboratory.stack.mask_assets
    service.behave()
    service.misbehave(mode="status", status=503)
    await laboratory.add()
    await _held_by_callback(owner, fault.seconds)
    laboratory.behave()
    await laboratory.moves_on()
    await owner.is_ready()


async def callback_refuses(laboratory: Laboratory, fault: Fault) -> None:
    """Kill the mask-asset service: connections are refused, and what it remembered is gone."""
    owner = await _in_the_midst(laboratory, fault)
    service = laboratory.stack.mask_assets
    service.behave()
    service.misbehave(mode="status", status=503)  # so that nothing is taken unseen
    await laboratory.keep_uploads(before_kill=True)
    service.kill()
    await laboratory.add()
    await _held_by_callback(owner, fault.seconds)
    await asyncio.to_thread(service.restart)
    laboratory.behave()
    await laboratory.moves_on()
    await owner.is_ready()


async def callback_cuts(laboratory: Laboratory, fault: Fault) -> None:
    """Cut answers half-way, the masks stored already: each job's upload is repeated."""
    await _in_the_midst(laboratory, fault)
    laboratory.stack.mask_assets.misbehave(mode="close", store=True, times=8)
    await laboratory.moves_on()


async def callback_late(laboratory: Laboratory, fault: Fault) -> None:
    """Answer later than the caller waits, the masks stored already."""
    await _in_the_midst(laboratory, fault)
    laboratory.stack.mask_assets.misbehave(delay_ms=(6000, 6000), times=4)
    await laboratory.moves_on()


async def wrong_secret(laboratory: Laboratory, fault: Fault) -> None:
    """Let a consumer with a wrong secret have its turn: it holds, and dead-letters nothing."""
    wrong = {"MASK_COMPONENT_SECRET": "not the service's"}
    await _replaced(laboratory, fault, reason="MASK_COMPONENT_SECRET", wrong=wrong)


async def wrong_s3_key(laboratory: Laboratory, fault: Fault) -> None:
    """Let a consumer with an unknown S3 key have its turn: it holds, and dead-letters nothing."""
    wrong = {"AWS_ACCESS_KEY_ID": "unknown"}
    await _replaced(laboratory, fault, reason="storage_unavailable", wrong=wrong)


KINDS: dict[str, Do] = {
    done.__name__: done
    for done in (
        sigkill,
        sigkill_settling,
        sigkill_at_start,
        sigterm,
        takeover,
        rebalances,
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
    )
}


async def _in_the_midst(laboratory: Laboratory, fault: Fault) -> Owner:
    """Wait for the owner to be `fault.lines` further in its work; give it."""
    owner = await laboratory.ruler()
    begin = len(owner.said())
    while len(owner.said()) < begin + fault.lines and laboratory.watch.settled < laboratory.records:
        laboratory.watch_owners()
        await asyncio.sleep(0.002)
    return owner


async def _held_by_callback(owner: Owner, seconds: float) -> None:
    """Wait for the hold, if the outage outlasts the five retries; and for the outage's end."""
    retries = 31.0
    begin = asyncio.get_running_loop().time()
    if seconds > retries:
        await owner.holds("callback_unavailable")
    passed = asyncio.get_running_loop().time() - begin
    await asyncio.sleep(max(0.0, seconds - passed))


async def _replaced(
    laboratory: Laboratory, fault: Fault, *, reason: str, wrong: Mapping[str, str]
) -> None:
    """Put a consumer with wrong settings in the owner's place, until it holds; then a right one."""
    owner = await _in_the_midst(laboratory, fault)
    await owner.end()
    laboratory.dismiss(owner)
    misled = laboratory.start(**wrong)
    await laboratory.add()
    await misled.holds(reason)
    await misled.end()
    laboratory.dismiss(misled)
    laboratory.start()
    await laboratory.moves_on()
