"""The processes of the demo: started, watched, and ended in order, so that none is left behind."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.cli.demo_view import Child
from engine.clock import Clock
from engine.messaging.child import dies_with_parent

__all__ = ["Fleet", "is_free"]

_LAST_LINES = 5
_POLL_SECONDS = 0.02


class Fleet:
    """Child processes by name, each with its stderr in a file.

    They are in sessions of their own: a Ctrl-C in the terminal reaches the demo alone, and the demo
    ends its children in an order that lets them finish. Should the demo be killed, the kernel tells
    them to stop (on Linux). Leaving the context kills what still runs.
    """

    def __init__(self, *, logs: Path, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._is_hurried = False

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hurry()
        await self.stop(tuple(self._processes), grace_seconds=0.0)

    @property
    def children(self) -> tuple[Child, ...]:
        """Return all processes ever started, in that order."""
        return tuple(
            Child(name, process.pid, process.returncode)
            for name, process in self._processes.items()
        )

    async def start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Start `python -m module arguments…` under a name."""
        with self.log_file(name).open("ab") as log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                # What is set for this machine's fleet (a broker's TLS, another interval) is not
                # meant for the demo's own.
                env={key: value for key, value in os.environ.items() if key[:7] != "ENGINE_"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )

    async def stop(self, names: Sequence[str], *, grace_seconds: float) -> None:
        """Ask some processes to stop, all at once; kill those that have not within the grace."""
        running = [self._processes[name] for name in names if self._is_running(name)]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = self._clock.monotonic() + grace_seconds
        while any(process.returncode is None for process in running):
            if self._is_hurried or self._clock.monotonic() >= deadline:
                break
            await self._clock.sleep(_POLL_SECONDS)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # does nothing to those that have ended
            await process.wait()

    def hurry(self) -> None:
        """Wait for nobody any more."""
        self._is_hurried = True

    def log_file(self, name: str) -> Path:
        """Return where a child's stderr goes."""
        return self._logs / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Return the last lines a child wrote."""
        try:
            lines = self.log_file(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n".join(lines[-_LAST_LINES:]) or "it said nothing"

    def _is_running(self, name: str) -> bool:
        return self._processes[name].returncode is None


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port of this machine."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True
