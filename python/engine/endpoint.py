"""A few short questions over HTTP, answered beside a service's own work: probes and Prometheus.

It runs on the service's own event loop: what it tells is plain data of that loop, and no thread
reads it half written. No keep-alive, no bodies, at most so many questions at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from engine.errors import ConfigError

__all__ = ["Answer", "Said", "serve_endpoint"]

LONGEST_HEAD = 8192  # bytes
PATIENCE_S = 5.0  # for a request's head, and for its answer to be taken
AT_ONCE = 16
REFUSED = (
    b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Said(NamedTuple):
    """What is answered: `200 OK` and the like, the content's type, the content."""

    status: str
    kind: str
    body: bytes


Answer = Callable[[str, Mapping[str, str]], Said]
"""Answers a GET of a path, given the request's headers by their names in lower case."""


@asynccontextmanager
async def serve_endpoint(address: str, *, setting: str, answer: Answer) -> AsyncIterator[str]:
    """Answer at PORT or HOST:PORT beside the body; yields the address.

    Without a host it is this machine only; port 0 is any that is free.

    Raises:
        ConfigError: the address cannot be listened on; it names the setting.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    asked = asyncio.Semaphore(AT_ONCE)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if asked.locked():
                return
            async with asked, asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, answer))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # whoever asks so will ask again
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(converse, host, int(port), limit=LONGEST_HEAD)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        wanted = f"{setting}: an address to listen on"
        raise ConfigError(f"{wanted}, found {address}: {reason}") from None
    async with server:
        at = server.sockets[0].getsockname()
        yield f"{at[0]}:{at[1]}"


def _answer(head: bytes, answer: Answer) -> bytes:
    request, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = request.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in ("GET", "HEAD"):
        return REFUSED
    pairs = (line.partition(":") for line in lines)
    said = answer(path, {name.strip().lower(): value.strip() for name, _, value in pairs})
    fields = (
        f"HTTP/1.1 {said.status}",
        f"Content-Type: {said.kind}",
        f"Content-Length: {len(said.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join([*fields, "", ""]).encode() + (b"" if method == "HEAD" else said.body)
