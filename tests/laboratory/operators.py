"""What people do to a running line: cancels, resumes, replicas that join, a topic made anew."""

import asyncio
import json
import re

from aiokafka import AIOKafkaProducer

from tests.laboratory.evidence import Foreseen
from tests.laboratory.laboratory import DEAD_LETTER_LIMIT, Laboratory
from tests.laboratory.moments import goes_on, in_the_midst
from tests.laboratory.schedule import Fault
from tests.laboratory.workload import image_job, plan, unknown_model
from tests.support.consumer_process import ConsumerProcess, Stalled, until
from tests.support.line_names import create_topics, maskline
from tests.support.topics import administration, end_of

BEYOND_WINDOW = 30
"""Records between a job that holds the line and one that hasn't begun: more than are in flight."""
CANCELS_AT_ONCE = 3
CANCELLED = Foreseen("cancelled")
REPLICAS = 3
IN_A_ROW = "dead letters in a row"
MADE_ANEW = "made anew"
_WAY_ON = re.compile(r"--from-offset (\d+)")


async def cancels(laboratory: Laboratory, fault: Fault) -> None:
    """Cancel the job that holds the line, and one that waits, three times each in one fetch."""
    owner = await in_the_midst(laboratory, fault)
    holding, waiting = laboratory.fresh_id("stuck"), laboratory.fresh_id("waiting")
    laboratory.stack.mask_assets.misbehave(jobs=holding, mode="status", status=401)
    head, before = [image_job(holding, CANCELLED)], laboratory.records
    between = plan(fault.at, records=BEYOND_WINDOW, poisoned=0)
    tail = [image_job(waiting, CANCELLED)] * 2
    *_, first, second = await laboratory.submit([*head, *between, *tail])
    await laboratory.reaches(before)
    await owner.until_holding("MASK_COMPONENT_SECRET")
    await _cancel(laboratory, [holding, waiting] * CANCELS_AT_ONCE)
    # Later jobs of the same ids are jobs of their own.
    done = Foreseen("completed")
    await laboratory.submit([image_job(waiting, done)])
    await until(lambda: second in laboratory.watch.ended, f"{waiting} is cancelled")
    laboratory.behave()
    *_, last = await laboratory.submit([image_job(holding, done)])
    await until(lambda: last in laboratory.watch.ended, f"a later {holding} is settled")
    begun = [offset for offset in (first, second) if laboratory.begun(offset)]
    if begun:
        raise Stalled(f"{begun} were cancelled before their turn, and were begun")
    await goes_on(laboratory, owner)


async def halt(laboratory: Laboratory, fault: Fault) -> None:
    """Halt the line by bad models in a row: joins, leaves, deaths and restarts lift nothing.

    `maskline resume` does, and nothing is settled before it.
    """
    owner = await in_the_midst(laboratory, fault)
    limit = DEAD_LETTER_LIMIT
    bad = plan(fault.at, records=limit, poisoned=limit, poisons=[unknown_model])
    good = plan(fault.at, records=BEYOND_WINDOW, poisoned=0)
    before = laboratory.records
    offsets = await laboratory.submit([*good[:1], *bad, *good[1:]])
    await laboratory.reaches(before)
    last = offsets[limit]
    await owner.until_halted(IN_A_ROW)
    await until(lambda: last in laboratory.watch.ended, "what led to the halt is settled")
    settled = laboratory.watch.settled
    for kill in (False, True, bool(fault.lines % 2)):
        standby = laboratory.start()
        await standby.until_ready()
        await owner.until_halted(IN_A_ROW)
        if kill:
            laboratory.kill(owner)
        else:
            await laboratory.end(owner)
        await standby.until_halted(IN_A_ROW)
        owner = standby
    await laboratory.end(owner)
    owner = laboratory.start()
    await owner.until_halted(IN_A_ROW)
    if laboratory.watch.settled != settled:
        raise Stalled(f"{laboratory.watch.settled - settled} were settled behind the halt")
    resumed = await asyncio.to_thread(maskline, "resume", environment=laboratory.environment())
    if resumed.returncode:
        raise Stalled(f"`maskline resume` fails: {resumed.stderr}")
    await goes_on(laboratory, owner)


async def joins_in_hold(laboratory: Laboratory, fault: Fault) -> None:
    """Let three join and leave, by SIGTERM and SIGKILL in turn, while the line holds.

    The owner keeps its lane: nothing is begun a second time.
    """
    owner = await in_the_midst(laboratory, fault)
    lanes = len(owner.entries("lane.opened"))
    await asyncio.to_thread(laboratory.stack.s3.down)
    try:
        await laboratory.add()
        await owner.until_holding("storage_unavailable")
        for number in range(REPLICAS):
            standby = laboratory.start()
            await standby.until_ready()
            if (number + fault.lines) % 2:
                laboratory.kill(standby)
            else:
                await laboratory.end(standby)
            await owner.until_holding("storage_unavailable")
    finally:
        await asyncio.to_thread(laboratory.stack.s3.up)
    await goes_on(laboratory, owner)
    if len(owner.entries("lane.opened")) != lanes:
        raise Stalled(f"{owner.name} opened its lane again")


async def topic_anew(laboratory: Laboratory, fault: Fault) -> None:
    """Delete the jobs topic under a running line and make it again: the line halts as it must.

    Jobs of the old topic are in flight, some of them uploaded. Nothing more is settled, a restart
    halts as well, and the `--from-offset` that it names goes on with the new topic's first record.
    """
    owner = await in_the_midst(laboratory, fault)
    for other in [one for one in laboratory.consumers if one is not owner]:
        await laboratory.end(other)
    head = laboratory.fresh_id("stuck")
    laboratory.stack.mask_assets.misbehave(jobs=head, mode="status", status=401)
    before = laboratory.records
    (stuck,) = await laboratory.submit([image_job(head, Foreseen("completed"))])
    await laboratory.add()
    await laboratory.reaches(before)
    await owner.until_holding("MASK_COMPONENT_SECRET")
    await laboratory.close_part(through=stuck)
    settled = laboratory.watch.settled
    await _make_anew(laboratory)
    await laboratory.submit(plan(fault.at, records=2 * BEYOND_WINDOW, poisoned=BEYOND_WINDOW))
    laboratory.behave()
    await owner.until_halted(MADE_ANEW)
    await laboratory.end(owner)
    owner = laboratory.start()
    await owner.until_halted(MADE_ANEW)
    way_on = _WAY_ON.search(await _why_halted(owner))
    if laboratory.watch.settled != settled or way_on is None:
        raise Stalled(f"{laboratory.watch.settled - settled} settled, way on: {way_on}")
    await laboratory.end(owner)
    await laboratory.open_part()
    owner = laboratory.start("--from-offset", way_on[1])
    await goes_on(laboratory, owner)


async def _cancel(laboratory: Laboratory, job_ids: list[str]) -> None:
    """Write cancels that a reader gets in one fetch: they are one batch."""
    end = await end_of(laboratory.bootstrap, laboratory.line.jobs)
    facts = {"before_offset": end, "requested_at": "2026-11-22T10:00:00.000Z"}
    async with AIOKafkaProducer(bootstrap_servers=laboratory.bootstrap) as producer:
        batch = producer.create_batch()
        for job_id in job_ids:
            value = json.dumps({"job_id": job_id, **facts}).encode()
            batch.append(key=job_id.encode(), value=value, timestamp=None)
        delivery = await producer.send_batch(batch, laboratory.line.control, partition=0)
        await delivery


async def _make_anew(laboratory: Laboratory) -> None:
    """Delete the jobs topic and make it again, as an operator would."""
    jobs = laboratory.line.jobs
    async with administration(laboratory.bootstrap) as admin:
        await admin.delete_topics([jobs])

        async def is_gone() -> bool:
            return jobs not in await admin.list_topics()

        await until(is_gone, f"{jobs} is deleted")
    await create_topics(laboratory.environment())


async def _why_halted(owner: ConsumerProcess) -> str:
    _, ready = await owner.get("/readyz")
    detail: str = ready["checks"]["not_halted"]["detail"]
    return detail
