"""The processes that the drill torments: workers, each behind links of its own, and brokers."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from drill.links import Links, links_to
from drill.worker import set_skew
from engine.clock import SystemClock
from engine.messaging.child import dies_with_parent
from engine.messaging.cluster import embedded_cluster
from engine.messaging.embedded import EmbeddedServer, embedded_server

__all__ = ["DrillFleet", "DrillWorker", "drill_servers"]

STOP_S = 15.0


class DrillWorker:
    """A place in the fleet: a process at a time, named anew with each start."""

    def __init__(self, *, place: int, folder: Path, urls: Sequence[str]) -> None:
        self.name = ""
        self.place = place
        self._urls = urls
        self._log = folder / f"w{place + 1}.log"
        self._clock = folder / f"w{place + 1}.clock"
        self._starts = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, module: str, settings: dict[str, object]) -> None:
        """Start a process in this place."""
        self._starts += 1
        self.name = f"w{self.place + 1}-{self._starts}"
        self.jump(0.0)
        wanted = settings | {"name": self.name, "nats": ",".join(self._urls)}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(self._clock)),
                *(f"{key}={value}" for key, value in wanted.items()),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(),
            )

    def send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def jump(self, seconds: float) -> None:
        """Set this worker's clock ahead, or behind where negative."""
        set_skew(self._clock, seconds)

    async def ended(self) -> None:
        """Wait for the end of the process; kill it where it does not come."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class DrillFleet:
    """All workers. Leaving `running` kills what is left."""

    def __init__(
        self, *, folder: Path, module: str, settings: dict[str, object], workers: int
    ) -> None:
        self.workers: list[DrillWorker] = []
        self._links: Links | None = None
        self._folder = folder
        self._module = module
        self._settings = settings
        self._count = workers

    async def start(self, worker: DrillWorker) -> None:
        await worker.start(self._module, self._settings)

    @property
    def links(self) -> Links:
        assert self._links is not None, "the fleet is not running"
        return self._links

    async def stop(self) -> None:
        """Stop all in order: each gives its partitions back."""
        for worker in self.workers:
            worker.send(signal.SIGTERM)
        await asyncio.gather(*(worker.ended() for worker in self.workers))

    @asynccontextmanager
    async def running(self, servers: Sequence[EmbeddedServer]) -> AsyncIterator["DrillFleet"]:
        """Run the workers beside the body."""
        async with AsyncExitStack() as stack:
            urls = [server.url for server in servers]
            links = await stack.enter_async_context(links_to(urls, workers=self._count))
            self._links = links
            for place in range(self._count):
                worker = DrillWorker(place=place, folder=self._folder, urls=links.urls[place])
                self.workers.append(worker)
                stack.push_async_callback(worker.ended)
                stack.callback(worker.send, signal.SIGKILL)
                await self.start(worker)
            yield self

    def tails(self) -> Iterator[str]:
        """Iterate the lines of logs that are errors, or that are no log lines at all."""
        for path in sorted(self._folder.glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if '"level":"error"' in line or not line.startswith("{"):
                    yield f"{path.stem}: {line}"


@asynccontextmanager
async def drill_servers(count: int, folder: Path) -> AsyncIterator[tuple[EmbeddedServer, ...]]:
    """Run one nats-server, or a cluster of several."""
    if count == 1:
        async with embedded_server(folder, name="drill") as server:
            yield (server,)
        return
    async with embedded_cluster(folder, size=count, name="drill", clock=SystemClock()) as cluster:
        yield cluster.servers
