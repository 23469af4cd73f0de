"""An ad platform over TCP: one JSON line a question, one an answer. It counts what it applies.

The server lives in the test; the adapter in gateways that are processes of their own.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from engine.errors import PlatformUnavailableError
from engine.platforms.port import AdAccount, Limits, Mutation, Outcome, ReportRow, Standing, Target
from support.platform import LIMITS, FakePlatform

__all__ = ["TcpPlatform", "serving"]


class TcpPlatform:
    """The adapter."""

    def __init__(self, port: int, name: str = "google", *, limits: Limits = LIMITS) -> None:
        self.name = name
        self.limits = limits
        self._port = port

    async def accounts(self) -> list[AdAccount]:
        return msgspec.convert(await self._ask("accounts"), list[AdAccount])

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        return msgspec.convert(await self._ask("inspect", list(targets)), list[Standing])

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        found = await self._ask("report", [ad_account, since, until])
        for one in msgspec.convert(found, list[ReportRow]):
            yield one

    async def apply(
        self, mutations: Sequence[Mutation], *, is_dry_run: bool = False
    ) -> list[Outcome]:
        return msgspec.convert(await self._ask("apply", list(mutations)), list[Outcome])

    async def aclose(self) -> None:
        """Nothing is kept open."""

    async def _ask(self, call: str, argument: object = None) -> Any:  # noqa: ANN401
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        except OSError as error:
            raise PlatformUnavailableError(self.name, str(error)) from error
        try:
            writer.write(msgspec.json.encode([call, argument]) + b"\n")
            line = await reader.readline()
        except OSError as error:
            raise PlatformUnavailableError(self.name, str(error)) from error
        finally:
            writer.close()
        if not line:
            raise PlatformUnavailableError(self.name, "the connection was cut")
        return msgspec.json.decode(line)


@asynccontextmanager
async def serving(
    platform: FakePlatform, *, seed: int, slowest_s: float = 0.05, cut: float = 0.0
) -> AsyncIterator[int]:
    """Serve a platform; yields the port. Of answers to `apply`, the share `cut` never arrives."""
    luck = random.Random(seed)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call, argument = msgspec.json.decode(await reader.readline())
            await asyncio.sleep(luck.uniform(0, slowest_s) / 2)
            answer = await _answer(platform, call, argument)
            await asyncio.sleep(luck.uniform(0, slowest_s) / 2)
            if not (call == "apply" and luck.random() < cut):
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except (OSError, msgspec.DecodeError):
            return  # whoever asked is dead
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _answer(platform: FakePlatform, call: str, argument: Any) -> object:  # noqa: ANN401
    if call == "accounts":
        return await platform.accounts()
    if call == "inspect":
        return await platform.inspect(msgspec.convert(argument, list[Target]))
    if call == "report":
        ad_account, since, until = argument
        return [one async for one in platform.report(ad_account, since=since, until=until)]
    return await platform.apply(msgspec.convert(argument, list[Mutation]))
