"""Every worker's links to the servers, in a process of their own.

In the drill's own loop they would wait for its platforms and its books, and fail-over would be
measured with those waits in it. `python -m drill.links WORKERS PORT…` prints the addresses as one
JSON line, `[[url, …], …]`, then obeys lines on stdin:
`[worker, "swallow" | "deafen" | "heal" | delay_s]`.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from engine.messaging.child import dies_with_parent
from support.proxy import Proxy, proxy_to

__all__ = ["Links", "links_to"]


class Links:
    """The links of all workers, by the worker's place."""

    def __init__(self, process: asyncio.subprocess.Process, urls: Sequence[Sequence[str]]) -> None:
        self.urls = urls
        self._process = process

    def swallow(self, place: int) -> None:
        """Let nothing arrive on a worker's links, either way."""
        self._say(place, "swallow")

    def deafen(self, place: int) -> None:
        """Let a worker hear nothing; what it says arrives."""
        self._say(place, "deafen")

    def heal(self, place: int) -> None:
        """Carry again what was held up, and what comes."""
        self._say(place, "heal")

    def delay(self, place: int, seconds: float) -> None:
        """Let every piece of data take that long."""
        self._say(place, seconds)

    def _say(self, place: int, what: str | float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([place, what]).encode() + b"\n")


@asynccontextmanager
async def links_to(urls: Sequence[str], *, workers: int) -> AsyncIterator[Links]:
    """Run links of some workers to some servers beside the body."""
    ports = [url.rpartition(":")[2] for url in urls]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "drill.links", str(workers), *ports),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        preexec_fn=dies_with_parent(),
    )
    try:
        assert process.stdout is not None
        yield Links(process, json.loads(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


async def _serve(workers: int, ports: Sequence[str]) -> None:
    async with AsyncExitStack() as stack:
        proxies: list[list[Proxy]] = []
        for _ in range(workers):
            urls = [f"nats://127.0.0.1:{port}" for port in ports]
            proxies.append([await stack.enter_async_context(proxy_to(url)) for url in urls])
        sys.stdout.write(json.dumps([[one.url for one in some] for some in proxies]) + "\n")
        sys.stdout.flush()
        loop, told = asyncio.get_running_loop(), asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
        while line := await told.readline():
            place, what = json.loads(line)
            for proxy in proxies[place]:
                if what == "swallow":
                    proxy.swallow()
                elif what == "deafen":
                    proxy.deafen()
                elif what == "heal":
                    proxy.heal()
                else:
                    proxy.delay_s = what


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2:]))
