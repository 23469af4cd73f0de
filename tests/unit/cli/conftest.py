"""The command line against a broker in memory: `engine(...)` runs a command to its end."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.cli.__main__ import run
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Broker


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class Engine:
    """The commands, and the server they talk to."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = MemoryServer()
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Result:
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Result(code, *self._capsys.readouterr())

    def with_broker(self, work: Callable[[Broker], Coroutine[Any, Any, None]]) -> None:
        """Do something over a connection of one's own."""
        self.server.stir()
        asyncio.run(work(MemoryBroker(server=self.server, name="test")))


@pytest.fixture
def engine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return the commands over a new, empty broker."""
    engine = Engine(capsys)

    @asynccontextmanager
    async def open_broker(url: str | None, *, name: str, **_: object) -> AsyncIterator[Broker]:
        engine.server.stir()  # what waited for it did so on the loop of a connection before
        yield MemoryBroker(server=engine.server, name=name)

    monkeypatch.setattr("engine.cli.session.open_broker", open_broker)
    monkeypatch.setattr("engine.cli.session.set_up_logs", lambda level: None)
    return engine


class _Terminal(io.StringIO):
    """A terminal on which somebody types, after something has happened."""

    def __init__(self, text: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(text)
        self._meanwhile = meanwhile

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # as StringIO's
        self._meanwhile()
        return super().readline(-1 if size is None else size)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what types an answer, having done something meanwhile."""

    def give(text: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        monkeypatch.setattr("sys.stdin", _Terminal(text, meanwhile))

    return give
