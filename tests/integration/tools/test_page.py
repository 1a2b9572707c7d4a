"""The live page as people use it: a real line, a real gateway, Debian's Chromium."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.page.browser import DESKTOP, PHONE, Tab, launched, tab
from tests.page.pictures import plain_pictures
from tests.page.scenes import JsonObject, busy
from tests.page.stand_in import detail
from tests.support.line_names import LineNames, maskline
from tests.support.models import TRIVIAL, write_trivial_body_model
from tests.support.photos import saved, stripes

pytestmark = pytest.mark.integration

KEY = "the-key"
LOST_SECONDS = 10
DEAD_LETTER_LIMIT = 3
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
}"""


@dataclass
class Site:
    """A line with two gateways, one open and one with a key, and no consumer yet."""

    open: GatewayProcess
    keyed: GatewayProcess
    consumer: ConsumerProcess
    environment: dict[str, str]
    works: bool = False

    def work(self) -> None:
        """Start the consumer, if it isn't yet."""
        if not self.works:
            self.consumer.launch()
            self.works = True


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of this file."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One line for the tests of this file."""
    models = tmp_path_factory.mktemp("models")
    write_trivial_body_model(models)
    environment = {
        **stack.environment(),
        **LineNames.fresh().environment(),
        "MODEL_FOLDER": str(models),
        "QWEN_MODEL_PATH": f"{TRIVIAL}.onnx",
        "DEAD_LETTER_LIMIT": str(DEAD_LETTER_LIMIT),
    }
    assert maskline("topics", "create", environment=environment).returncode == 0
    site = Site(
        open=GatewayProcess(environment),
        keyed=GatewayProcess({**environment, "API_KEYS": KEY}),
        consumer=ConsumerProcess(environment),
        environment=environment,
    )
    with ExitStack() as started:
        for server in (site.open, site.keyed):
            started.callback(server.stop)
            server.launch()
        for server in (site.open, site.keyed):
            server.wait_ready()
        started.callback(site.consumer.stop)
        yield site


@pytest.fixture
def working(site: Site) -> Site:
    """The line, with its consumer."""
    site.work()
    return site


def entered(it: Tab, gateway: GatewayProcess, key: str | None = None) -> Page:
    """Open the page, with a key where it asks for one."""
    it.page.goto(gateway.url)
    if key is not None:
        dialog = it.page.get_by_role("dialog")
        dialog.get_by_label("API key").fill(key)
        dialog.get_by_role("button").click()
        it.allow("401")
    expect(it.page.locator("#live")).to_have_text("live")
    return it.page


def submit(page: Page, *names: str) -> None:
    """Choose photos as a person does."""
    content = saved(stripes())
    photos = [FilePayload(name=name, mimeType="image/png", buffer=content) for name in names]
    page.locator("#files").set_input_files(photos)


def test_photos_become_masks_and_one_is_cancelled(browser: Browser, site: Site) -> None:
    """On a phone without a key, and on a desk with one, at the same time."""
    with tab(browser, PHONE, touch=True) as phone, tab(browser, DESKTOP, dark=True) as desk:
        tabs = ((phone, site.open, None, "phone"), (desk, site.keyed, KEY, "desk"))
        for it, gateway, key, name in tabs:
            page = entered(it, gateway, key)
            submit(page, f"{name}-kept.png", f"{name}-dropped.png")
            row = page.locator("#uploads > li").filter(has_text=f"{name}-dropped.png")
            row.get_by_role("button", name="Cancel").click()
            row.get_by_role("button", name="Yes, cancel it").click()
            expect(row).to_contain_text("cancelled")
            expect(page.locator("#line-word")).to_have_text("Stopped")
        site.work()
        for it, _, key, name in tabs:
            page = it.page
            kept = page.locator("#uploads > li").filter(has_text=f"{name}-kept.png")
            expect(kept).to_contain_text("done", timeout=60_000)
            expect(kept.get_by_alt_text("with its masks drawn over it")).to_be_visible()
            expect(page.locator("#done")).to_have_text("2")
            expect(page.locator("#open")).to_be_visible(visible=key is None)
            kept.get_by_role("link").click()
            expect(page.get_by_alt_text("The photo with its masks drawn over it")).to_be_visible()
            expect(page.locator(".facts").get_by_text("minio://")).to_have_count(2)
            page.get_by_role("button", name="lower body").click()
            expect(page.get_by_role("img", name="lower body")).to_be_visible()
            assert not it.is_too_wide()
            assert it.complaints == []


def test_a_dropped_photo_that_is_none_is_a_failure_with_advice(
    browser: Browser, working: Site
) -> None:
    """The page says why, and what to do."""
    with tab(browser) as it:
        page = entered(it, working.open)
        page.evaluate(DROP, ["words.png", "d29yZHM="])
        failure = page.locator("#failures > li").filter(has_text="words.png")
        expect(failure).to_contain_text("unsupported_format")
        expect(failure).to_contain_text("Send it as JPEG, PNG or WebP")
        assert it.complaints == []


def test_a_held_line_says_what_it_waits_for(
    browser: Browser, working: Site, stack: LocalStack
) -> None:
    """And goes on without a reload."""
    with tab(browser) as it:
        page = entered(it, working.open)
        stack.mask_assets.misbehave(mode="status", status=401)
        try:
            submit(page, "held.png")
            expect(page.locator("#line-word")).to_have_text("Held")
            expect(page.locator("#line-text")).to_contain_text("the service that stores masks")
            expect(page.locator("#begun-list")).to_contain_text("Waits for the service")
        finally:
            stack.mask_assets.behave()
        expect(page.locator("#uploads > li")).to_contain_text("done", timeout=30_000)
        expect(page.locator("#line-word")).to_have_text("Idle")
        page.locator("#uploads > li").get_by_role("link").click()
        expect(page.locator(".moments")).to_contain_text("waits for a service")
        assert it.complaints == []


def test_a_halted_line_says_what_to_type(browser: Browser, working: Site) -> None:
    """And goes on, without a reload, once that was typed."""
    with tab(browser) as it:
        page = entered(it, working.open)
        photo = "s3://mask-uploads/none.png"
        submitted = ("submit", *[photo] * DEAD_LETTER_LIMIT, "--model", "nonesuch", "--wait")
        assert maskline(*submitted, environment=working.environment).returncode == 1
        expect(page.locator("#line-word")).to_have_text("Halted", timeout=20_000)
        expect(page.locator("#line-text")).to_contain_text("maskline resume")
        submit(page, "behind.png")
        assert maskline("resume", environment=working.environment).returncode == 0
        expect(page.locator("#uploads > li")).to_contain_text("done", timeout=30_000)
        expect(page.locator("#line-word")).to_have_text("Idle")
        assert it.complaints == []


def test_a_gateway_that_is_gone_for_a_while_is_caught_up_with(
    browser: Browser, working: Site, tmp_path: Path
) -> None:
    """The page says since when; what was done meanwhile comes without a reload."""
    photo = tmp_path / "meanwhile.png"
    photo.write_bytes(saved(stripes()))
    with tab(browser) as it:
        page = entered(it, working.open)
        page.evaluate("window.notReloaded = true")
        working.open.kill()
        expect(page.locator("#banner")).to_contain_text("Connection lost at")
        submitted = maskline("submit", str(photo), "--wait", environment=working.environment)
        assert submitted.returncode == 0, submitted.stderr
        page.wait_for_timeout(1000 * LOST_SECONDS)  # the length is what is asked for
        expect(page.locator("#line-word")).to_contain_text("Was")
        working.open.restart()
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#results")).to_contain_text("meanwhile.png")
        assert page.evaluate("window.notReloaded")
        it.allow("ERR_", "503")
        assert it.complaints == []


def test_the_stand_in_says_what_the_gateway_says(browser: Browser, working: Site) -> None:
    """The other tests of the page trust in its overview and its story of a job."""
    with tab(browser) as it:
        page = entered(it, working.open)
        submit(page, "asked-for.png")
        expect(page.locator("#uploads > li")).to_contain_text("done")
        script = "async (path) => (await fetch(path)).json()"
        overview: JsonObject = page.evaluate(script, "api/v1/overview")
        ours = busy(("a.jpg",))
        assert shape(overview) == shape(ours)
        job = overview["completed"][0]
        assert set(job) == set(ours["completed"][0])
        told: JsonObject = page.evaluate(script, f"api/v1/jobs/{job['job_id']}")
        assert set(told) == set(detail(ours["completed"][0], plain_pictures()))
        assert set(told["events"][-1]) >= {"state", "occurred_at", "attempt", "worker", "error"}


def shape(overview: JsonObject) -> JsonObject:
    """Return the names of an overview's fields."""
    return {
        name: sorted(value) if isinstance(value, dict) else None for name, value in overview.items()
    } | {"minutes": sorted(overview["minutes"][0])}
