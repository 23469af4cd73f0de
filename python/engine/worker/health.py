"""Whether a worker lives and can decide, over HTTP: for probes and people.

GET /live    200 while the loop turns, 503 when it is stuck: restart it
GET /ready   200 while it can decide, 503 with the hindrances while it cannot: leave it alone
GET /status  200 with figures

It answers a few short requests and nothing else: no keep-alive, no bodies, at most so many at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from engine.errors import ConfigError

__all__ = ["Inspected", "serve_health"]

LONGEST_HEAD = 4096  # bytes
PATIENCE_S = 2.0  # for a request's head
AT_ONCE = 16


class Inspected(Protocol):
    """What is asked of a worker."""

    @property
    def is_live(self) -> bool: ...

    def hindrances(self) -> list[str]: ...

    def status(self) -> dict[str, object]: ...


@asynccontextmanager
async def serve_health(address: str, *, worker: Inspected) -> AsyncIterator[str]:
    """Answer at HOST:PORT beside the body; yields the address. No host is this machine, port 0 any.

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
                writer.write(_answer(head, worker))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # whoever asks so will ask again
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, host, int(port), limit=LONGEST_HEAD)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"health: an address to listen on, found {address}: {reason}") from None
    async with server:
        at = server.sockets[0].getsockname()
        yield f"{at[0]}:{at[1]}"


def _answer(head: bytes, worker: Inspected) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].decode("ascii", "replace")
    if method not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", b'{"error":"GET is answered"}'
    else:
        status, body = _say(path, worker)
    lines = (
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == b"HEAD" else body)


def _say(path: str, worker: Inspected) -> tuple[str, bytes]:
    if path == "/live":
        fine, said = worker.is_live, {"live": worker.is_live}
        return _with(fine, said)
    if path == "/ready":
        hindrances = worker.hindrances()
        return _with(not hindrances, {"ready": not hindrances, "hindrances": hindrances})
    if path == "/status":
        return _with(True, worker.status())
    return "404 Not Found", b'{"error":"/live, /ready and /status are answered"}'


def _with(fine: bool, said: object) -> tuple[str, bytes]:
    return "200 OK" if fine else "503 Service Unavailable", msgspec.json.encode(said)
