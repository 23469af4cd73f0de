"""What a person sees and does, in a real browser."""

import re
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import (  # type: ignore[import-untyped]  # untyped
    Axe,
)
from playwright.async_api import Browser, Locator, Page, expect

from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.messaging.memory import MemoryBroker
from support.dashboard import TOKEN, serving
from support.definitions import campaign
from support.shown import COUNT, Shown
from support.waiting import wait_until

PATHS = {
    "campaigns": "/",
    "filtered": "/?q=shoes&state=active&sort=campaign",
    "nothing": "/?q=nothing-like-it",
    "campaign": "/campaigns/spring-shoes",
    "unknown": "/campaigns/nobody",
    "decisions": "/decisions",
    "platforms": "/platforms",
    "workers": "/workers",
    "health": "/health",
}
NEVER = re.compile(r"NaN|undefined|null|Infinity|\[object")


def rows(page: Page) -> Locator:
    return page.locator(".grid-body .grid-row:not([hidden])")


def badge(page: Page) -> Locator:
    return page.locator("#badge-word")


async def opened(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(badge(page)).to_have_text("live", timeout=20_000)
    await expect(page.locator("#strip .tile")).to_have_count(6)


async def violations(page: Page) -> list[str]:
    results = await Axe().run(page)
    found = results.response["violations"]
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
async def test_no_page_has_a_barrier_or_shows_what_is_no_figure(
    browser: Browser, shown: Shown, width: int, theme: Literal["light", "dark"]
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, has_touch=width < 500
    )
    page = await context.new_page()
    barriers: dict[str, list[str]] = {}
    for name, path in PATHS.items():
        await opened(page, shown.url + path)
        if name == "campaign":
            await expect(page.locator(".p-spending svg.plot")).to_be_visible()
            await expect(page.locator(".timeline li")).to_have_count(1)
        assert not NEVER.search(await page.inner_text("body")), name
        if found := await violations(page):
            barriers[name] = found
    assert barriers == {}


async def test_an_empty_fleet_says_what_to_do(page: Page, empty: Shown) -> None:
    await opened(page, empty.url)
    await expect(page.locator(".empty")).to_contain_text("engine publish examples/campaigns.yaml")
    await page.goto(f"{empty.url}/workers")
    await expect(page.locator(".empty")).to_contain_text("engine worker --name worker-1")
    await page.goto(f"{empty.url}/decisions")
    await expect(page.locator(".empty")).to_contain_text("engine worker --name worker-1")
    await page.goto(f"{empty.url}/platforms")
    await expect(page.get_by_text("No gateway heard")).to_be_visible()
    assert await violations(page) == []
    assert not NEVER.search(await page.inner_text("body"))


async def test_the_table_shows_spend_bid_and_what_binds_in_words(page: Page, shown: Shown) -> None:
    await opened(page, shown.url)
    first = rows(page).first
    await expect(first).to_contain_text("spring-shoes")
    await expect(first).to_contain_text("37.00")
    await expect(first).to_contain_text("pacing to plan")
    await expect(first).to_contain_text("0.5630")
    await expect(rows(page).filter(has_text="spring-hats")).to_contain_text("no bid")
    await expect(rows(page).filter(has_text="spring-jackets")).to_contain_text("paused")


async def test_a_figure_changes_in_sight_when_it_changes_in_the_fleet(
    page: Page, shown: Shown
) -> None:
    await opened(page, shown.url)
    await expect(rows(page).first).to_contain_text("37.00")
    await shown.fleet.decide(
        {"campaign": "spring-shoes", "settled": 41_500_000, "binding": Binding.MAX_BID}
    )
    await expect(rows(page).first).to_contain_text("41.50")
    await expect(rows(page).first).to_contain_text("highest bid")


async def test_only_rows_in_sight_are_elements_and_all_can_be_reached(
    page: Page, large: Shown
) -> None:
    await opened(page, f"{large.url}/?sort=campaign")
    await expect(rows(page).first).to_contain_text("c-00000")
    grid = page.locator(".grid")
    assert await grid.get_attribute("aria-rowcount") == str(COUNT + 1)
    assert await page.locator(".grid-body .grid-row").count() < 60
    await grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    await expect(page.get_by_text(f"c-{COUNT - 1:05d}")).to_be_visible()
    await grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2 }")
    await expect(rows(page).filter(has_text=f"c-{COUNT // 2 + 5:05d}")).to_be_visible()
    assert await page.locator(".grid-body .grid-row").count() < 60
    await expect(page).to_have_url(re.compile(r"row=\d+"))
    await page.reload()
    await expect(rows(page).filter(has_text=f"c-{COUNT // 2 + 5:05d}")).to_be_visible()


async def test_the_keyboard_alone_moves_opens_and_comes_back(page: Page, large: Shown) -> None:
    await opened(page, f"{large.url}/?sort=campaign")
    await expect(rows(page).first).to_contain_text("c-00000")
    await page.locator(".grid").focus()
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    active = page.locator(".grid-row.is-active")
    await expect(active).to_contain_text("c-00002")
    assert await page.locator(".grid").get_attribute("aria-activedescendant") == "row-2"
    await page.keyboard.press("End")
    await expect(active).to_contain_text(f"c-{COUNT - 1:05d}")
    await page.keyboard.press("Home")
    await expect(active).to_contain_text("c-00000")
    await page.keyboard.press("PageDown")
    await expect(active).to_contain_text(re.compile(r"c-000[12]\d"))
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{large.url}/campaigns/c-00000")
    await expect(page.locator("h1")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile(r"/\?sort=campaign"))
    await page.keyboard.press("/")
    await page.keyboard.type("c-00042")
    await expect(rows(page)).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("w")
    await expect(page).to_have_url(f"{large.url}/workers")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Open the campaign")


async def test_the_address_keeps_the_view(page: Page, shown: Shown) -> None:
    await opened(page, shown.url)
    await page.get_by_role("searchbox").fill("spring -hats")
    await page.get_by_label("All states").select_option("!paused")
    await page.get_by_role("button", name="Bid").click()
    await expect(rows(page)).to_have_count(1)
    await expect(page).to_have_url(f"{shown.url}/?q=spring+-hats&state=%21paused&sort=-bid")
    await page.reload()
    await expect(page.get_by_role("searchbox")).to_have_value("spring -hats")
    await expect(page.get_by_label("All states")).to_have_value("!paused")
    await expect(rows(page)).to_have_count(1)
    bid = page.get_by_role("columnheader", name="Bid")
    await expect(bid).to_have_attribute("aria-sort", "descending")
    await page.get_by_role("button", name="Clear filters").click()
    await expect(rows(page)).to_have_count(3)


async def test_a_campaigns_page_says_why_the_last_bid_changed(page: Page, shown: Shown) -> None:
    await opened(page, f"{shown.url}/campaigns/spring-shoes")
    await expect(page.locator(".whynow")).to_contain_text("pacing keeps spend on its plan")
    change = page.locator(".p-change")
    await expect(change).to_contain_text("The bid on google rose by 1.6%")
    await shown.fleet.decide({"campaign": "spring-shoes", "bids": {"google": (900_000, 1e5, 0.7)}})
    await expect(page.locator(".p-allocation")).to_contain_text("0.9000")
    await expect(change).to_contain_text("from 0.563 to 0.90", timeout=20_000)
    await shown.fleet.publish(campaign("spring-shoes", state=State.PAUSED, budget_micros=10**9))
    await expect(page.locator(".timeline")).to_contain_text("budget: 100.00 → 1,000.00")
    await expect(page.locator(".state.big")).to_have_text("paused")


async def test_a_picture_has_its_figures_as_a_table(page: Page, shown: Shown) -> None:
    await opened(page, f"{shown.url}/campaigns/spring-shoes")
    chart = page.locator(".p-bids")
    await expect(chart.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("google 0.56")
    )
    await chart.locator("summary").click()
    await expect(chart.locator("tbody tr")).to_have_count(8)
    await expect(chart.locator("tbody tr").first).to_contain_text("0.5630")


async def test_a_lost_server_is_said_and_comes_back(page: Page, shown: Shown) -> None:
    await opened(page, shown.url)
    shown.broker.server.disconnect()
    await expect(badge(page)).to_have_text("stale")
    await expect(page.locator("#banner")).to_contain_text("The broker is away")
    assert await violations(page) == []
    await expect(rows(page)).to_have_count(3)
    shown.broker.server.reconnect()
    await expect(badge(page)).to_have_text("live")
    await expect(page.locator("#banner")).not_to_contain_text("The broker is away")
    await page.context.set_offline(True)
    await page.evaluate("() => dispatchEvent(new Event('offline'))")
    shown.service.hub.close()  # ends all streams
    await expect(badge(page)).to_have_text("reconnecting", timeout=15_000)
    await expect(rows(page)).to_have_count(3)


async def test_a_tab_that_nobody_sees_holds_no_stream(page: Page, shown: Shown) -> None:
    await opened(page, shown.url)
    assert shown.service.hub.viewers == 1
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(hide, True)
    await expect_viewers(page, shown, 0)
    await page.evaluate(hide, False)
    await expect_viewers(page, shown, 1)
    await expect(badge(page)).to_have_text("live")


async def expect_viewers(page: Page, shown: Shown, count: int) -> None:
    await wait_until(lambda: shown.service.hub.viewers == count, within_s=15, what=f"{count}")


async def test_a_campaign_is_paused_with_the_token_and_a_reason(page: Page, shown: Shown) -> None:
    await opened(page, f"{shown.url}/campaigns/spring-shoes")
    await page.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label(re.compile("Token")).fill("a wrong one, and long enough")
    await dialog.get_by_label(re.compile("Why")).fill("stock is out")
    await dialog.get_by_role("button", name="Pause").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("the token")
    await dialog.get_by_label(re.compile("Token")).fill(TOKEN)
    assert await violations(page) == []
    await dialog.get_by_role("button", name="Pause").click()
    await expect(page.locator(".state.big")).to_have_text("paused")
    await expect(page.locator(".timeline")).to_contain_text("stock is out")
    # The token is known for this visit, and the legal ways from here are others.
    await page.get_by_role("button", name="Resume").click()
    await expect(dialog.get_by_label(re.compile("Token"))).to_be_hidden()
    await dialog.get_by_role("button", name="Resume").click()
    await expect(page.locator(".state.big")).to_have_text("active")


async def test_a_token_in_the_address_is_taken_out_of_it(page: Page, shown: Shown) -> None:
    await page.goto(f"{shown.url}/#token={TOKEN}")
    await expect(badge(page)).to_have_text("live")
    assert TOKEN not in page.url
    await page.goto(f"{shown.url}/health")
    await page.get_by_role("button", name="Halt the fleet").click()
    await page.get_by_role("dialog").get_by_role("button", name="Halt the fleet").click()
    await expect(page.locator("#banner")).to_contain_text("The kill switch is on everywhere")
    await expect(page.get_by_role("button", name="Let the fleet bid again")).to_be_visible()


async def test_the_theme_is_the_systems_until_chosen_and_is_kept(
    browser: Browser, shown: Shown
) -> None:
    context = await browser.new_context(color_scheme="dark")
    page = await context.new_page()
    await opened(page, shown.url)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(ground) == "rgb(14, 20, 25)"
    await page.get_by_role("button", name="Light or dark").click()
    assert await page.evaluate(ground) == "rgb(244, 246, 248)"
    await page.reload()
    assert await page.evaluate(ground) == "rgb(244, 246, 248)"


async def test_a_phone_scrolls_the_table_sideways_and_every_target_is_large_enough(
    browser: Browser, shown: Shown
) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    small: dict[str, object] = {}
    for name in ("campaigns", "decisions", "workers", "health", "campaign"):
        await opened(page, shown.url + PATHS[name])
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) <= 0, name
        found = await page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, .pages a, .crumbs a")]
              .filter((one) => one.offsetParent && !one.closest(".grid-head"))
              .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect().height])
              .filter(([, height]) => height < 44)"""
        )
        if found:
            small[name] = found
    assert small == {}
    await page.goto(shown.url)
    grid = page.locator(".grid")
    await expect(rows(page)).to_have_count(3)
    assert await grid.evaluate("grid => grid.scrollWidth > grid.clientWidth")
    row = await rows(page).first.bounding_box()
    assert row is not None
    assert row["height"] >= 44


async def test_a_policy_keeps_foreign_and_inline_scripts_out(
    browser: Browser, shown: Shown
) -> None:
    page = await browser.new_page()
    await opened(page, shown.url)
    ran = await page.evaluate(
        """async () => {
          const script = document.createElement("script");
          try { script.textContent = "window.ran = true"; } catch { /* trusted types */ }
          document.body.append(script);
          try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); }
          catch { return "kept out"; }
          return window.ran ? "ran" : "let in";
        }"""
    )
    assert ran == "kept out"


async def test_a_dashboard_with_a_token_asks_for_it_first(browser: Browser) -> None:
    async with serving(MemoryBroker(), reading_needs_token=True) as (_, port):
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/workers")
        await expect(page.get_by_role("heading")).to_contain_text("not open to everybody")
        assert await violations(page) == []
        await page.get_by_label("Token").fill("guess")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("not the token")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await expect(badge(page)).to_have_text("live")
