"""The live page in each state of the line, against a stand-in for the gateway."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.page.browser import DESKTOP, PHONE, SMALL_PHONE, Tab, launched, tab
from tests.page.pictures import Pictures, plain_pictures
from tests.page.scenes import SCENES, JsonObject, busy
from tests.page.stand_in import StandIn, event

NAMES = ("front.jpg", "back.jpg")
WORDS = {
    "empty": "Idle",
    "busy": "Running",
    "held": "Held",
    "halted": "Halted",
    "failed": "Running",
    "stopped": "Stopped",
}
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of this file."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def pictures() -> list[Pictures]:
    """Pictures that cost nothing to make."""
    return [plain_pictures()]


def violations(page: Page) -> list[str]:
    """Return which rules of accessibility the page breaks, and where."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


def opened(opened_tab: Tab, gateway: StandIn, route: str = "") -> Page:
    """Open the page, and wait until it knows the line."""
    opened_tab.page.goto(gateway.url + route)
    expect(opened_tab.page.locator("#live")).to_have_text("live")
    return opened_tab.page


def job_route(job: JsonObject) -> str:
    """Return the address of a job's own view."""
    return f"#/job/{job['job_id']}"


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (SMALL_PHONE, True)])
def test_each_state_is_shown_in_a_word_and_is_accessible(
    browser: Browser, pictures: list[Pictures], size: tuple[int, int], dark: bool
) -> None:
    """On a desk in the light and on a small phone in the dark."""
    with StandIn(SCENES["empty"](NAMES), pictures) as gateway, tab(browser, size, dark=dark) as it:
        page = opened(it, gateway)
        for name, word in WORDS.items():
            gateway.scene = scene = SCENES[name](NAMES)
            expect(page.locator("#line-word")).to_have_text(word)
            expect(page.locator("#waiting")).to_have_text(str(scene["counts"]["queued"]))
            expect(page.locator("#failures > li")).to_have_count(min(6, len(scene["failed"])))
            assert violations(page) == [], name
            assert not it.is_too_wide(), name
        assert it.complaints == []


@pytest.mark.parametrize("state", ["completed", "failed", "begun", "next"])
def test_the_view_of_a_job_is_accessible(
    browser: Browser, pictures: list[Pictures], state: str
) -> None:
    """In each of its states."""
    scene = SCENES["held" if state == "begun" else "failed"](NAMES)
    with StandIn(scene, pictures) as gateway, tab(browser, PHONE) as it:
        page = opened(it, gateway, job_route(scene[state][0]))
        expect(page.get_by_text("The same from a terminal")).to_be_visible()
        if state == "completed":
            expect(page.get_by_alt_text("The photo with its masks drawn over it")).to_be_visible()
        assert violations(page) == []
        assert not it.is_too_wide()
        assert it.complaints == []


def test_what_comes_from_outside_is_text(browser: Browser, pictures: list[Pictures]) -> None:
    """Markup in names, users, reasons and keys is shown, and does nothing."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    scene = SCENES["failed"](NAMES)
    for each in (*scene["begun"], *scene["next"], *scene["completed"], *scene["failed"]):
        each.update(user_id=evil, filename=evil)
        each["error"] = each["error"] and {**each["error"], "message": evil}
    with StandIn(scene, pictures) as gateway, tab(browser) as it:
        page = opened(it, gateway)
        expect(page.locator("#results > li")).to_have_count(12)
        expect(page.locator("#failures").get_by_text(evil).first).to_be_visible()
        gateway.emit(event(scene["begun"][0] | {"job_id": evil}, "processing"))
        page.goto(gateway.url + job_route(scene["failed"][0]))
        expect(page.get_by_role("heading", level=1)).to_have_text(evil)
        assert page.locator("script:not([src])").count() == 0
        assert page.locator("img[src='x']").count() == 0
        assert it.complaints == []


def test_the_key_is_asked_for_and_goes_out_as_a_header_alone(
    browser: Browser, pictures: list[Pictures]
) -> None:
    """A wrong one is told so; the right one is kept for the tab and is in no address."""
    with StandIn(busy(NAMES), pictures) as gateway, tab(browser, PHONE) as it:
        gateway.key = "a-secret"
        addresses: list[str] = []
        it.page.on("request", lambda request: addresses.append(request.url))
        it.page.goto(gateway.url)
        dialog = it.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert violations(it.page) == []
        dialog.get_by_label("API key").fill("wrong")
        dialog.get_by_role("button").click()
        expect(dialog.get_by_role("alert")).to_have_text("This key isn't known here.")
        dialog.get_by_label("API key").fill("a-secret")
        dialog.get_by_role("button").click()
        expect(dialog).to_be_hidden()
        expect(it.page.locator("#results > li")).to_have_count(12)
        it.page.reload()
        expect(it.page.locator("#live")).to_have_text("live")
        assert [each for each in addresses if "a-secret" in each] == []
        it.allow("401")
        assert it.complaints == []


def test_a_lost_gateway_is_told_with_since_when_and_found_again(
    browser: Browser, pictures: list[Pictures]
) -> None:
    """What was known is grey; what happened meanwhile is caught up, without a reload."""
    scene = busy(NAMES)
    with StandIn(scene, pictures) as gateway, tab(browser) as it:
        page = opened(it, gateway)
        page.evaluate("window.notReloaded = true")
        expect(page.locator("#line-word")).to_have_text("Running")
        gateway.stop()
        banner = page.locator("#banner")
        expect(banner).to_contain_text("Connection lost at")
        expect(banner).to_contain_text("old. T")  # it tries again, or is trying
        expect(page.locator("#line-word")).to_have_text("Was running")
        assert violations(page) == []
        scene["counts"]["queued"] = 77
        gateway.start()
        page.get_by_role("button", name="Try now").click()
        expect(banner).to_be_hidden()
        expect(page.locator("#waiting")).to_have_text("77")
        assert page.evaluate("window.notReloaded")
        it.allow("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET")
        assert it.complaints == []


def test_a_gateway_that_cannot_answer_is_quoted(browser: Browser, pictures: list[Pictures]) -> None:
    """It is there, and Kafka is away: what was known is grey, until it can answer again."""
    with StandIn(busy(NAMES), pictures) as gateway, tab(browser) as it:
        page = opened(it, gateway)
        expect(page.locator("#line-word")).to_have_text("Running")
        gateway.problem = "the view has not heard from Kafka for 10 s"
        expect(page.locator("#banner")).to_contain_text("The gateway can't answer since")
        expect(page.locator("#banner")).to_contain_text(gateway.problem)
        expect(page.locator("#line-word")).to_have_text("Was running")
        gateway.problem = None
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#line-word")).to_have_text("Running")
        it.allow("503")
        assert it.complaints == []


def test_events_change_the_page_at_once(browser: Browser, pictures: list[Pictures]) -> None:
    """A job begins, waits, ends; the numbers follow."""
    scene = busy(NAMES)
    with StandIn(scene, pictures) as gateway, tab(browser) as it:
        page = opened(it, gateway)
        expect(page.locator("#begun")).to_have_text("3")
        first = scene["next"][0]
        gateway.emit(event(first, "processing"))
        expect(page.locator("#begun")).to_have_text("4")
        expect(page.locator("#waiting")).to_have_text("22")
        error = {"code": "invalid_image", "message": "not a photo", "stage": "preprocess"}
        gateway.emit(event(first, "failed", error=error))
        expect(page.locator("#failed")).to_have_text("4")
        expect(page.locator("#failures > li").first).to_contain_text("not a photo")
        assert it.complaints == []


def test_a_cancel_is_confirmed_in_place_by_keyboard(
    browser: Browser, pictures: list[Pictures]
) -> None:
    """Escape keeps the job, and the focus stays where it was."""
    scene = busy(NAMES)
    with StandIn(scene, pictures) as gateway, tab(browser) as it:
        page = opened(it, gateway)
        row = page.locator("#next-list > li").first
        row.get_by_role("button", name="Cancel front.jpg").press("Enter")
        expect(row.get_by_role("button", name="Yes, cancel it")).to_be_focused()
        page.keyboard.press("Escape")
        expect(row.get_by_role("button", name="Cancel front.jpg")).to_be_focused()
        assert gateway.cancelled == []
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(row).to_contain_text("cancelled")
        assert gateway.cancelled == [scene["next"][0]["job_id"]]
        assert it.complaints == []
