"""A cluster of nats-servers on this machine: for `engine demo --cluster`, tests and the drill.

They share one machine and its disk: what a replica adds to safety elsewhere, it does not add here.
"""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.errors import BrokerError
from engine.messaging.embedded import EmbeddedServer, Routes, find_server

__all__ = ["EmbeddedCluster", "embedded_cluster"]

READY_S = 20.0  # to find each other and elect: 2 s on an idle machine


class EmbeddedCluster:
    """Running nats-servers that are one broker. Made by `embedded_cluster`."""

    def __init__(self, servers: Sequence[EmbeddedServer], *, clock: Clock) -> None:
        self.servers = tuple(servers)
        self._clock = clock

    @property
    def url(self) -> str:
        """Return the addresses of all servers, with commas between."""
        return ",".join(server.url for server in self.servers)

    async def leader(self) -> str | None:
        """Return the name of the server that leads the cluster, None while they do not agree."""
        known = {await _leader(server) for server in self.servers if server.is_running}
        return known.pop() if len(known) == 1 else None

    async def ready(self) -> None:
        """Return once all servers know the leader and have caught up with it.

        Raises:
            BrokerError: that took longer than `READY_S`.
        """
        deadline = self._clock.monotonic() + READY_S
        while await self.leader() is None or not await self._are_healthy():
            if self._clock.monotonic() >= deadline:
                raise BrokerError(f"nats-servers at {self.url} are no cluster after {READY_S} s")
            await self._clock.sleep(0.05)

    async def _are_healthy(self) -> bool:
        found = [await _asked(server, "/healthz") for server in self.servers]
        return all(one.get("status") == "ok" for one in found)


@asynccontextmanager
async def embedded_cluster(
    store_dir: Path | None = None,
    *,
    size: int = 3,
    name: str = "engine",
    clock: Clock | None = None,
) -> AsyncIterator[EmbeddedCluster]:
    """Run a cluster of nats-servers on 127.0.0.1 beside the body, ready for replicated streams.

    `store_dir` None keeps the data in a temporary directory that goes away at the end.

    Raises:
        ConfigError: there is no nats-server of a fitting version here.
        BrokerError: they did not come up, or did not find each other.
    """
    binary, clock = find_server(), clock or SystemClock()
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-nats-")))
        ports = _free_ports(size)
        servers = []
        for number, port in enumerate(ports, 1):
            folder = work / f"{number}"
            store = (store_dir or work / "store") / f"{number}"
            for path in (folder, store):
                path.mkdir(parents=True, exist_ok=True)
            server = EmbeddedServer(
                binary=binary,
                store_dir=store,
                work_dir=folder,
                port=0,
                name=f"{name}-{number}",
                clock=clock,
                routes=Routes(name, port, ports),
            )
            await server.start()
            stack.push_async_callback(server.stop)
            servers.append(server)
        cluster = EmbeddedCluster(servers, clock=clock)
        await cluster.ready()
        yield cluster


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now: each server must know the others' beforehand."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


async def _leader(server: EmbeddedServer) -> str | None:
    """Return the cluster's leader as one server knows it; None where it knows none."""
    meta = (await _asked(server, "/jsz")).get("meta_cluster")
    return meta.get("leader") or None if isinstance(meta, dict) else None


async def _asked(server: EmbeddedServer, path: str) -> dict[str, object]:
    """Return what a server's monitoring says; nothing where it does not answer."""
    host, _, port = server.monitor_url.rpartition("//")[2].partition(":")
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                _, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        found: dict[str, object] = json.loads(body)
    except (OSError, ValueError, TimeoutError):
        return {}
    return found
