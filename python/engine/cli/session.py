"""What every command that talks to the broker shares: the connection, the author, the clock."""

import asyncio
import getpass
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.repository import Repository
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.messaging.credentials import has_password
from engine.messaging.permissions import Role
from engine.messaging.ports import Broker
from engine.wiring import open_broker, set_up_logs

__all__ = ["AsJson", "Nats", "Session", "run"]

Nats = Annotated[
    str | None,
    Parameter(help="URL of the broker; ENGINE_NATS or nats://127.0.0.1:4222 where not given."),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


class Session:
    """A connection to the broker, and who is at work over it."""

    def __init__(self, *, broker: Broker) -> None:
        self.broker = broker
        self.clock = SystemClock()
        self.author = _author()
        self.repository = Repository(table=broker.campaigns, clock=self.clock, by=self.author)

    @property
    def producer(self) -> str:
        """Return a name for a producer of frames that no other process start has."""
        return f"cli-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def run(
    work: Callable[[Session], Awaitable[int]],
    *,
    nats: str | None,
    role: Role | None = None,
    provision: bool | None = None,
) -> int:
    """Connect, do some work, and return the exit code it gives.

    `role` is what whoever calls must be allowed to do; None lets the broker refuse as it comes.
    `provision` as for `open_broker`.

    Raises:
        BrokerError: the broker is away, or lacks something the role needs.
        ConfigError: the address holds a password, on the command line for everybody to see.
    """
    if nats is not None and has_password(nats):
        where = "ENGINE_NATS, or ENGINE_USER with ENGINE_PASSWORD_FILE"
        raise ConfigError(f"--nats: an address without a password, which is for {where}")

    async def connected() -> int:
        async with open_broker(nats, name="engine-cli", role=role, provision=provision) as broker:
            return await work(Session(broker=broker))

    set_up_logs("error")  # a broker that is away is said by the error that follows
    return asyncio.run(connected())


def _author() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a container's user without a name
        return f"uid-{os.getuid()}@{socket.gethostname()}"
