"""HTTP as platforms' local servers speak it: just enough of it, on this machine only.

Answers can be cut off in their middle, and all connections at once: what frameworks take care not
to do.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

__all__ = ["HttpServer", "Request", "Response", "json_response"]

_LONGEST_BODY = 16 * 1024 * 1024
_IDLE_S = 60.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; of which `share` is sent before the connection ends, if not all."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    share: float = 1.0


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer in JSON."""
    return Response(status=status, headers=headers or {}, body=msgspec.json.encode(value))


class HttpServer:
    """Answers requests at a port of 127.0.0.1; the port stays the same when it is started again."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.port = 0
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Go away at once; calls under way are cut."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except asyncio.CancelledError:
            # The server goes: only `kill` cancels, and asyncio would log that as an error.
            writer.transport.abort()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever asked like that, or left, gets no answer
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may come."""
        async with asyncio.timeout(_IDLE_S):
            request = await _read(reader)
        if request is None:
            return False
        response = await self._answer(request)
        content = _head(response) + response.body
        if response.share < 1.0:
            writer.write(content[: int(len(content) * response.share)])
            await writer.drain()
            return False
        writer.write(content)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request; None where the other side has hung up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _LONGEST_BODY:
        raise ValueError(f"a body of at most {_LONGEST_BODY} bytes wanted, found {length}")
    parts = urlsplit(target)
    return Request(
        method=method,
        path=unquote(parts.path),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        body=await reader.readexactly(length),
    )


def _head(response: Response) -> bytes:
    headers = {
        "content-type": "application/json",
        **response.headers,
        "content-length": str(len(response.body)),
    }
    lines = [f"HTTP/1.1 {response.status} Said", *(f"{n}: {v}" for n, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
