"""One customer's endpoint that is down keeps the others waiting for a bounded time."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from consumer.errors import JobFailed
from consumer.job.budgets import Budgets
from tests.support.opened_callback import Clock, OpenedCallback, open_callback
from tests.support.receiver import STORED, Receiver, reply, silence

Opens = Callable[..., AbstractAsyncContextManager[OpenedCallback]]
DEAD = "http://127.0.0.1:1"
SLOW = ("https", "slow", 443)
DOWN = [reply(503)] * 6


@pytest.fixture
def line(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Open a callback of which the receiver, and an origin where nothing is, may be called."""
    origins = f"{receiver.origin},{DEAD}"
    return lambda **settings: open_callback(
        monkeypatch, f"{receiver.origin}/masks", callback_allowed_origins=origins, **settings
    )


async def unavailable(opened: OpenedCallback, url: str) -> JobFailed:
    """Post to a job's own endpoint that is down; give why the job failed."""
    with pytest.raises(JobFailed) as raised:
        await opened.post(callback_url=url)
    assert raised.value.code == "callback_unavailable"
    return raised.value


async def test_a_wait_that_would_end_after_the_budget_is_not_begun(
    receiver: Receiver, line: Opens
) -> None:
    """Waits of 1, 2 and 4 seconds fit into 10, the 8 after them don't."""
    receiver.answers.extend(DOWN)
    async with line(callback_budget_seconds=10) as opened:
        await unavailable(opened, f"{receiver.origin}/own")
        assert opened.slept == [1, 2, 4]
    assert len(receiver.requests) == 4


async def test_what_the_endpoint_asks_for_counts_in_its_budget(
    receiver: Receiver, line: Opens
) -> None:
    """`Retry-After: 300` ends the job at once."""
    receiver.answers.append(reply(503, retry_after="300"))
    async with line() as opened:
        await unavailable(opened, f"{receiver.origin}/own")
        assert opened.slept == []
    assert len(receiver.requests) == 1


async def test_a_try_ends_with_the_budget(receiver: Receiver, line: Opens) -> None:
    """Not only with its own time-out."""
    receiver.answers.append(silence)
    async with line(callback_budget_seconds=0.1, callback_timeout_seconds=30) as opened:
        reason = await unavailable(opened, f"{receiver.origin}/own")
        assert "no answer in 0.1 s" in str(reason)


@pytest.mark.parametrize("used_up", [DOWN, [reply(503, retry_after="300")]])
async def test_jobs_behind_one_that_used_its_budget_get_one_try_each(
    used_up: list[bytes], receiver: Receiver, line: Opens
) -> None:
    """Whether it was its tries or its time that it used up; a success gives them back."""
    own = f"{receiver.origin}/own"
    receiver.answers.extend(used_up)
    async with line() as opened:
        await unavailable(opened, own)
        before, slept = len(receiver.requests), len(opened.slept)
        for number in (1, 2, 3):
            receiver.answers.append(reply(503))
            await unavailable(opened, f"{own}{number}")
            assert len(receiver.requests) == before + number
        assert len(opened.slept) == slept
        assert await opened.post(callback_url=own) == STORED
        receiver.answers.append(reply(503))
        assert await opened.post(callback_url=own) == STORED
        assert len(opened.slept) == slept + 1


def test_a_short_try_lasts_five_seconds_at_most() -> None:
    """Though `CALLBACK_TIMEOUT_SECONDS` is more; of less, that counts."""
    budgets = Budgets(seconds=120, clock=Clock())
    first = budgets.begin(SLOW)
    assert first.seconds_of_try(30) == 30
    first.use_up()
    assert budgets.begin(SLOW).seconds_of_try(30) == 5
    assert budgets.begin(SLOW).seconds_of_try(2) == 2
    assert budgets.begin(("https", "other", 443)).seconds_of_try(30) == 30


async def test_an_endpoint_that_is_down_is_no_other_endpoints_trouble(
    receiver: Receiver, line: Opens
) -> None:
    """Another origin, and `MASK_ASSET_URL`, have all their tries."""
    async with line() as opened:
        await unavailable(opened, f"{DEAD}/own")
        await unavailable(opened, f"{DEAD}/other")
        slept = len(opened.slept)
        receiver.answers.extend([*DOWN, reply(503)])
        assert await opened.post() == STORED
        assert len(opened.slept) == slept + 5
        assert any(held for _, _, held in opened.retries), "it holds after its retries"
        receiver.answers.append(reply(503))
        assert await opened.post(callback_url=f"{receiver.origin}/own") == STORED


def test_a_job_in_the_middle_of_its_budget_gives_up_with_the_others() -> None:
    """Those in flight together don't each use up a budget of their own."""
    budgets = Budgets(seconds=120, clock=Clock())
    first, second = budgets.begin(SLOW), budgets.begin(SLOW)
    assert second.allows_wait(16)
    first.use_up()
    assert not second.allows_wait(1)
    assert second.seconds_of_try(30) == 5
    second.succeed()
    assert budgets.begin(SLOW).allows_wait(16)


async def test_five_hundred_jobs_of_a_dead_origin_cost_the_first_ones_budget(
    receiver: Receiver, line: Opens
) -> None:
    """By the clock that waits move on: the good ones among them are not kept for hours."""
    async with line() as opened:
        begin = opened.clock.now
        for number in range(500):
            await unavailable(opened, f"{DEAD}/{number}")
            assert await opened.post() == STORED
        assert opened.clock.now - begin <= 120
    assert len(receiver.requests) == 500
