"""A TCP proxy with faults: answers swallowed, connections cut, links that are slow or silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Proxy", "proxy_to"]


class Proxy:
    """Sits between a client and a server. Faults are attributes: set them at any time."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self.swallows_answers = False  # server → client; the client's bytes still arrive
        self.swallows_requests = False  # client → server
        self.delay_s = 0.0  # for each piece of data, either way
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._stalled: set[asyncio.StreamWriter] = set()
        self._for_ever = asyncio.Event()
        self._passes = {is_answer: asyncio.Event() for is_answer in (False, True)}
        self.heal()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # the server is down: so are we
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        self._clients.add(writer)
        ways = [
            asyncio.ensure_future(self._carry(reader, back, is_answer=False)),
            asyncio.ensure_future(self._carry(there, writer, is_answer=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, back):
                end.transport.abort()
                self._writers.discard(end)
                self._clients.discard(end)
            await asyncio.gather(*ways, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Read nothing more from the connections there are, and keep them open; take new ones.

        What a paused server looks like from outside: the socket's buffers fill and stay full.
        """
        self._stalled |= self._writers

    def swallow(self) -> None:
        """Be a black hole: connections stand and are taken, and nothing arrives on them.

        What was sent meanwhile arrives after `heal`, as TCP sends again what was not acknowledged.
        """
        for passes in self._passes.values():
            passes.clear()

    def deafen(self) -> None:
        """Hold up what the server says; what the client says arrives."""
        self._passes[True].clear()

    def heal(self) -> None:
        """Carry again what was held up."""
        for passes in self._passes.values():
            passes.set()

    def say(self, data: bytes) -> None:
        """Say something to every client in the server's name."""
        for writer in self._clients:
            writer.write(data)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if writer in self._stalled:
                    await self._for_ever.wait()
                await self._passes[is_answer].wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                swallowed = self.swallows_answers if is_answer else self.swallows_requests
                if not swallowed:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            return


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Run a proxy to a server on this machine."""
    proxy = Proxy(int(url.rpartition(":")[2]))
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
        try:
            await proxy.serve(reader, writer)
        finally:
            if task is not None:
                connections.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for connection in list(connections):
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
