"""A real Chromium and a dashboard over a broker in memory, all on one loop."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from engine.campaigns.repository import Repository
from engine.cli.dashboard import CampaignSteering
from engine.clock import SystemClock
from engine.domain.campaign import Flight
from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.messaging.memory import MemoryBroker
from support.browser import CHROMIUM, launched
from support.dashboard import Fleet, serving
from support.definitions import campaign
from support.shown import COUNT, Shown


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; leave them out, and say so, where there is no browser."""
    mine = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in mine:
        item.add_marker(pytest.mark.browser)
    if CHROMIUM is None:
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CHROMIUM is None:
        words = "no chromium (apt-get install chromium): the tests in a browser were left out"
        terminalreporter.write_line(words, yellow=True)


def flight() -> Flight:
    now = SystemClock().now()
    return Flight(now - 3_600, now + 3_600)


async def small_fleet(fleet: Fleet) -> None:
    """Publish campaigns in several states, with some rounds behind them."""
    await fleet.take()
    for name, state in (("shoes", State.ACTIVE), ("jackets", State.PAUSED), ("hats", State.ACTIVE)):
        await fleet.publish(
            campaign(f"spring-{name}", state=state, flight=flight(), name=f"Spring {name}")
        )
    now = fleet.clock.now()
    for step in range(8):
        bids = {
            "google": (500_000 + 9_000 * step, 250_000.0 - 40_000 * step, 0.6),
            "meta": (300_000, None, 0.0),
        }
        await fleet.decide(
            {
                "campaign": "spring-shoes",
                "settled": 30_000_000 + step * 10**6,
                "bids": bids,
                "best": "google",
            },
            at=now - 60 + 6 * step,
        )
    await fleet.decide({"campaign": "spring-hats", "binding": Binding.BUDGET, "bids": {}})
    await fleet.beat("worker-1")
    await fleet.beat("worker-2", partitions=list(range(32, 64)), round_ms=900.0, skipped_rounds=2)


@pytest.fixture
async def shown() -> AsyncIterator[Shown]:
    """A small fleet on a dashboard that may change it."""
    broker, clock = MemoryBroker(), SystemClock()
    fleet = Fleet(broker)
    await small_fleet(fleet)
    repository = Repository(table=broker.campaigns, clock=clock, by="tester")
    async with serving(broker, steering=CampaignSteering(repository, clock)) as (service, port):
        yield Shown(service, f"http://127.0.0.1:{port}", fleet, broker)


@pytest.fixture
async def empty() -> AsyncIterator[Shown]:
    """A dashboard over a broker with nothing in it."""
    broker = MemoryBroker()
    async with serving(broker) as (service, port):
        yield Shown(service, f"http://127.0.0.1:{port}", Fleet(broker), broker)


@pytest.fixture
async def large() -> AsyncIterator[Shown]:
    """A dashboard over thousands of campaigns."""
    broker = MemoryBroker()
    fleet = Fleet(broker)
    await fleet.publish(*(campaign(f"c-{i:05d}", flight=flight()) for i in range(COUNT)))
    async with serving(broker) as (service, port):
        yield Shown(service, f"http://127.0.0.1:{port}", fleet, broker)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test for anything the console complains of."""
    complaints: list[str] = []
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def heard(message: Any) -> None:  # noqa: ANN401
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", heard)
    yield page
    await page.close()
    assert complaints == []
