"""The moments around a fault: the midst of work before it, and the line that goes on after it."""

import asyncio
from collections.abc import Mapping

from tests.laboratory.laboratory import Laboratory
from tests.laboratory.schedule import Fault
from tests.support.consumer_process import ConsumerProcess, until

FEEL_SECONDS = 60.0
"""Longer than the consumer waits for any answer."""


async def in_the_midst(laboratory: Laboratory, fault: Fault) -> ConsumerProcess:
    """Wait for the owner to be `fault.lines` further in its work, and not idle; give it."""
    await laboratory.refill()
    owner = await laboratory.owner()
    end = len(owner.entries()) + fault.lines
    while len(owner.entries()) < end and laboratory.watch.settled < laboratory.records:
        laboratory.check_running()
        await asyncio.sleep(0.002)
    return owner


async def meets_failure(laboratory: Laboratory, owner: ConsumerProcess, part: str) -> None:
    """See to it that there is work, and wait until the owner logs that the part fails."""
    begin = len(owner.entries())
    await laboratory.add()

    def is_logged() -> bool:
        fresh = owner.entries()[begin:]
        if part == "kafka":
            return any(line.get("logger", "").startswith("aiokafka") for line in fresh)
        return any(line["event"] == "job.retried" for line in fresh)

    await until(is_logged, f"{owner.name} logs that {part} fails", seconds=FEEL_SECONDS)


async def goes_on(laboratory: Laboratory, owner: ConsumerProcess) -> None:
    """The line must go on by itself, with the owner that it had."""
    await laboratory.moves_on()
    await owner.until_ready()
    laboratory.check_running()


async def replaced(
    laboratory: Laboratory, fault: Fault, *, reason: str, wrong: Mapping[str, str]
) -> None:
    """Put a consumer with wrong settings in the owner's place, until it holds; then a right one."""
    owner = await in_the_midst(laboratory, fault)
    await laboratory.end(owner)
    wrong_one = laboratory.start(**wrong)
    await laboratory.add()
    await wrong_one.until_holding(reason)
    await laboratory.end(wrong_one)
    laboratory.start()
    await laboratory.moves_on()
