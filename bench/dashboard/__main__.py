"""`python -m bench.dashboard`: the dashboard's share of a core, at so many campaigns and viewers.

A nats-server, a feed of decisions with the viewers, and the dashboard run as processes of their
own; the dashboard's processor time is read from the kernel. With --browser, a real Chromium scrolls
the table at the end and tells the time of its main thread.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import CDPSession, async_playwright

from bench.dashboard.feed import Feed
from engine.clock import SystemClock
from engine.messaging.embedded import embedded_server
from engine.messaging.nats import connect
from support.browser import launched

TICKS = os.sysconf("SC_CLK_TCK")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the disk is not what is measured
VIEWS = (
    "page=campaigns",
    "page=campaigns&sort=roi",
    "page=campaigns&sort=-confidence&offset=200",
    "page=campaigns&q=0123",
    "page=campaigns&binding=pacing",
    "page=campaigns&platform=meta",
    "page=campaigns&sort=campaign&offset=40000",
    "page=decisions",
    "page=workers",
    "page=platforms",
)


class Seen:
    """What a viewer got."""

    def __init__(self) -> None:
        self.bytes = self.messages = 0
        self.last = 0.0
        self.gap = 0.0  # the longest between two messages, in seconds

    def hear(self, line: bytes) -> None:
        """Count a line of the stream."""
        self.bytes += len(line)
        if line.startswith(b"data:"):
            now = time.monotonic()
            if self.messages:
                self.gap = max(self.gap, now - self.last)
            self.messages, self.last = self.messages + 1, now


async def main(asked: argparse.Namespace) -> None:
    """Measure, and print one JSON object."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as store:
        async with (
            embedded_server(Path(store), clock=SystemClock()) as server,
            connect(server.url, name="feed", clock=SystemClock()) as broker,
        ):
            feed = Feed(broker=broker, count=asked.campaigns, interval_s=asked.interval)
            await feed.publish()
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(feed.run())
                figures = await _measured(server.url, asked)
                feeding.cancel()
    sys.stdout.write(json.dumps(figures | {"feed_late_s": round(feed.late_s, 2)}) + "\n")


async def _measured(url: str, asked: argparse.Namespace) -> dict[str, object]:
    dashboard = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.dashboard", "--nats", url, "--port", "0"),
        *("--log-level", "error"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        port = await _port(dashboard)
        await asyncio.sleep(asked.warm)
        alone = await _share(dashboard.pid, asked.seconds / 2)
        seen = [Seen() for _ in range(asked.viewers)]
        async with asyncio.TaskGroup() as group:
            looking = [
                group.create_task(_look(port, VIEWS[i % len(VIEWS)], one))
                for i, one in enumerate(seen)
            ]
            await asyncio.sleep(2)
            before = [(one.bytes, one.messages) for one in seen]
            share = await _share(dashboard.pid, asked.seconds)
            rates = [
                ((one.bytes - was[0]) / asked.seconds, (one.messages - was[1]) / asked.seconds)
                for one, was in zip(seen, before, strict=True)
            ]
            for task in looking:
                task.cancel()
        frames = await _frames(port) if asked.browser else None
    finally:
        dashboard.terminate()
        await dashboard.wait()
    many = max(len(rates), 1)
    return {
        "campaigns": asked.campaigns,
        "interval_s": asked.interval,
        "viewers": asked.viewers,
        "views": len(VIEWS),
        "core_without_viewers": round(alone, 3),
        "core": round(share, 3),
        "kb_a_second_a_viewer": round(sum(one[0] for one in rates) / many / 1000, 1),
        "messages_a_second_a_viewer": round(sum(one[1] for one in rates) / many, 2),
        "longest_gap_s": round(max((one.gap for one in seen), default=0.0), 2),
        "frames": frames,
    }


async def _port(dashboard: asyncio.subprocess.Process) -> int:
    if dashboard.stderr is None:
        raise RuntimeError("a dashboard whose words can be read")
    while line := await dashboard.stderr.readline():
        if found := re.search(rb"dashboard: http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise RuntimeError("the dashboard ended")


async def _look(port: int, view: str, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(f"GET /api/stream?{view} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            seen.hear(line)
    finally:
        writer.close()


async def _share(pid: int, seconds: float) -> float:
    """Return the share of a core that a process uses over some seconds."""
    before, began = _used(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (_used(pid) - before) / (time.monotonic() - began)


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


_SCROLL = """async ([frames, step]) => {
  const grid = document.querySelector(".grid"), gaps = [];
  let before = performance.now(), top = grid.scrollTop;
  for (let i = 0; i < frames; i += 1) {
    await new Promise(requestAnimationFrame);
    gaps.push(performance.now() - before);
    before = performance.now();
    top += step;
    grid.scrollTop = top % (grid.scrollHeight - 900);
  }
  gaps.sort((a, b) => a - b);
  return {p50: gaps[frames >> 1], p95: gaps[Math.floor(frames * 0.95)]};
}"""
_SPENT = ("TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
_FRAMES = 300


async def _frames(port: int) -> dict[str, object]:
    """Scroll by 57 pixels a frame, then by 2,500, and return milliseconds a frame.

    What counts is the main thread's own time (below 16.7 for 60 a second): on a busy machine frames
    come late whatever a page does.
    """
    found: dict[str, object] = {}
    async with async_playwright() as playwright, launched(playwright) as browser:
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.locator(".grid-body .grid-row a").first.wait_for()
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        for name, step in (("steady", 57), ("jumps", 2_500)):
            before = await _main_thread(session)
            gaps = await page.evaluate(_SCROLL, [_FRAMES, step])
            after = await _main_thread(session)
            spent = {one: round((after[one] - before[one]) * 1000 / _FRAMES, 2) for one in _SPENT}
            found[name] = spent | {f"gap_{key}": round(gaps[key], 1) for key in ("p50", "p95")}
    return found


async def _main_thread(session: CDPSession) -> dict[str, float]:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return {one["name"]: one["value"] for one in metrics}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=50_000)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between rounds")
    parser.add_argument("--warm", type=float, default=12.0, help="seconds for reading back")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--browser", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_arguments()))
