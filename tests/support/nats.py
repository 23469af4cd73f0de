"""Real nats-servers in odd states: held in their tracks, or configured by hand."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from engine.messaging.embedded import EmbeddedServer, find_server

__all__ = ["paused", "server_with"]


@contextmanager
def paused(server: EmbeddedServer) -> Iterator[None]:
    """Hold the server: its connections stay open and nothing answers (SIGSTOP)."""
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while not _is_stopped(pid):  # the signal reaches each thread in its own time
        assert time.monotonic() < deadline, f"process {pid} does not stop"
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    states = [
        (thread / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        for thread in Path(f"/proc/{pid}/task").iterdir()
    ]
    return all(state == "T" for state in states)


@asynccontextmanager
async def server_with(configuration: str, folder: Path) -> AsyncIterator[str]:
    """Run a nats-server with a configuration of the test's own; yields its address."""
    conf = folder / "nats.conf"
    conf.write_text(f'listen: "127.0.0.1:-1"\n{configuration}', encoding="utf-8")
    process = subprocess.Popen(  # noqa: ASYNC220 - forks in a millisecond
        [find_server(), "-c", conf, "--ports_file_dir", folder, "-l", folder / "log"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ports = folder / f"nats-server_{process.pid}.ports"
        async with asyncio.timeout(10):
            while not (ports.exists() and "nats://" in ports.read_text(encoding="utf-8")):
                await asyncio.sleep(0.005)
        port = ports.read_text(encoding="utf-8").partition("nats://127.0.0.1:")[2].split('"')[0]
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
