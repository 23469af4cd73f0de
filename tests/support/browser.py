"""Debian's Chromium, headless, driven by playwright: where it is, and how it is started."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Playwright

__all__ = ["CHROMIUM", "launched"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def launched(playwright: Playwright) -> AsyncIterator[Browser]:
    """Run a browser while the context lasts; nothing is downloaded."""
    browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
    try:
        yield browser
    finally:
        await browser.close()
