"""The page that Prometheus reads: GET /metrics, and nothing else.

It is answered on the service's own event loop, between its other work: what it counts is plain
numbers of that loop, and no thread reads them half written.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from engine.errors import ConfigError

__all__ = ["Collect", "registry_of", "serve_metrics"]

LONGEST_HEAD = 8192  # bytes
PATIENCE_S = 5.0  # for a request's head, and for its answer to be taken
AT_ONCE = 8

Collect = Callable[[], Iterable[Metric]]
"""Gives the families of this moment."""


class _Collected(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not collect: the service has not begun


def registry_of(*parts: Collect) -> CollectorRegistry:
    """Return a registry that asks each part anew whenever it is read."""
    registry = CollectorRegistry(auto_describe=False)
    for part in parts:
        registry.register(_Collected(part))
    return registry


@asynccontextmanager
async def serve_metrics(address: str, *, registry: CollectorRegistry) -> AsyncIterator[str]:
    """Answer at PORT or HOST:PORT beside the body; yields the address.

    Without a host it is this machine only; port 0 is any that is free.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    asked = asyncio.Semaphore(AT_ONCE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if asked.locked():
                return
            async with asked, asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, registry))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # whoever scrapes will scrape again
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, host, int(port), limit=LONGEST_HEAD)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        wanted = "metrics_port: an address to listen on"
        raise ConfigError(f"{wanted}, found {address}: {reason}") from None
    async with server:
        at = server.sockets[0].getsockname()
        yield f"{at[0]}:{at[1]}"


def _answer(head: bytes, registry: CollectorRegistry) -> bytes:
    request, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = request.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    headers = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    }
    kind = "text/plain; charset=utf-8"
    if method not in ("GET", "HEAD"):
        status, body = "405 Method Not Allowed", b"GET is answered\n"
    elif path != "/metrics":
        status, body = "404 Not Found", b"/metrics is answered\n"
    else:
        encode, kind = choose_encoder(headers.get("accept", ""))
        status, body = "200 OK", encode(registry)
    fields = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join([*fields, "", ""]).encode() + (b"" if method == "HEAD" else body)
