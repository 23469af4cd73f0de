"""`python -m bench.dashboard`: the dashboard's share of a core, at so many campaigns and viewers.

A nats-server, a feed of decisions, the dashboard and its viewers run as processes of their own; the
dashboard's processor time is read from the kernel. With --browser, a real Chromium scrolls the
table meanwhile and counts the time between frames.
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
VIEWS = (
    "page=campaigns", "page=campaigns&sort=roi", "page=campaigns&sort=-confidence&offset=200",
    "page=campaigns&q=0123", "page=campaigns&binding=pacing", "page=campaigns&platform=meta",
    "page=campaigns&sort=campaign&offset=40000", "page=decisions", "page=workers", "page=platforms",
)  # fmt: skip


async def main() -> None:
    """Measure, and print one JSON object."""
    asked = _arguments()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the disk is not what is measured
    with tempfile.TemporaryDirectory(dir=memory) as store:
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
            print(json.dumps(figures | {"feed_late_s": round(feed.late_s, 2)}))


async def _measured(url: str, asked: argparse.Namespace) -> dict[str, object]:
    dashboard = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine.dashboard", "--nats", url, "--port", "0",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert dashboard.stderr is not None
    port = 0
    while not port:
        line = (await dashboard.stderr.readline()).decode()
        found = re.search(r"dashboard: http://127.0.0.1:(\d+)", line)
        port = int(found[1]) if found else 0
    drain = asyncio.ensure_future(dashboard.stderr.read())
    await asyncio.sleep(asked.warm)
    alone = await _share(dashboard.pid, asked.seconds / 2)
    viewers = [
        asyncio.ensure_future(_view(port, VIEWS[i % len(VIEWS)])) for i in range(asked.viewers)
    ]
    await asyncio.sleep(2)
    share = await _share(dashboard.pid, asked.seconds)
    frames = await _frames(port) if asked.browser else None
    for one in viewers:
        one.cancel()
    seen = [
        one
        for one in await asyncio.gather(*viewers, return_exceptions=True)
        if isinstance(one, Seen)
    ]
    dashboard.terminate()
    await dashboard.wait()
    drain.cancel()
    status = {
        "bytes": sum(one.bytes for one in seen),
        "messages": sum(one.messages for one in seen),
    }
    seconds = max((one.seconds for one in seen), default=1.0)
    return {
        "campaigns": asked.campaigns, "viewers": asked.viewers, "views": len(VIEWS), "interval_s": asked.interval,
        "core_without_viewers": round(alone, 3), "core": round(share, 3),
        "kb_a_second_a_viewer": round(status["bytes"] / max(len(seen), 1) / seconds / 1000, 1),
        "messages_a_second_a_viewer": round(status["messages"] / max(len(seen), 1) / seconds, 2),
        "largest_gap_s": round(max((one.gap for one in seen), default=0.0), 2),
        "frames": frames,
    }  # fmt: skip


class Seen:
    """What a viewer got."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.bytes = self.messages = 0
        self.gap = 0.0

    @property
    def seconds(self) -> float:
        """Return for how long it looked."""
        return time.monotonic() - self.began


async def _view(port: int, view: str) -> Seen:
    seen = Seen()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(f"GET /api/stream?{view} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            seen.bytes += len(line)
            if line.startswith(b"data:"):
                now = time.monotonic()
                seen.gap = max(seen.gap, now - seen.last) if seen.messages else 0.0
                seen.last = now
                seen.messages += 1
    except asyncio.CancelledError:
        pass  # the end of the measurement: what was seen is the answer
    finally:
        writer.close()
    return seen


async def _share(pid: int, seconds: float) -> float:
    """Return the share of a core that a process uses over some seconds."""
    before, began = _used(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (_used(pid) - before) / (time.monotonic() - began)


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


_SCROLL = """async () => {
  const grid = document.querySelector(".grid"), gaps = [];
  let before = performance.now(), top = 0;
  for (let i = 0; i < 600; i += 1) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - before);
    before = now;
    top += i < 300 ? 57 : 2500;
    grid.scrollTop = top % (grid.scrollHeight - 900);
  }
  gaps.sort((a, b) => a - b);
  const at = (share) => Number(gaps[Math.floor(gaps.length * share)].toFixed(1));
  return {frames: gaps.length, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), over_34_ms: gaps.filter((gap) => gap > 34).length};
}"""


async def _frames(port: int) -> object:
    async with async_playwright() as playwright, launched(playwright) as browser:
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.locator(".grid-body .grid-row a").first.wait_for()
        # The main thread's own time: on a busy machine frames come late whatever a page does.
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = await _main_thread(session)
        gaps = await page.evaluate(_SCROLL)
        after = await _main_thread(session)
        used = {
            name: round((after[name] - before[name]) * 1000 / gaps["frames"], 2) for name in _SPENT
        }
        return gaps | {f"{name}_ms_a_frame": value for name, value in used.items()}


_SPENT = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


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
    asyncio.run(main())
