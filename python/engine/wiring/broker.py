"""The connection to the broker, as a process opens it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import structlog

from engine.clock import Clock, SystemClock
from engine.errors import BrokerError, ConfigError
from engine.messaging.credentials import masked
from engine.messaging.identity import IdentitySettings
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.permissions import Role
from engine.wiring.read_only import refuse_if_read_only
from engine.wiring.settings import load
from engine.wiring.traces import traced

__all__ = ["DEFAULT_NATS", "open_broker"]

DEFAULT_NATS = "nats://127.0.0.1:4222"
AGAIN_S = 0.25

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_broker(
    url: str | None = None,
    *,
    name: str,
    clock: Clock | None = None,
    provision: bool | None = None,
    replicas: int | None = None,
    patience: float = 0.0,
    identity: IdentitySettings | None = None,
    role: Role | None = None,
    writes: bool = False,
) -> AsyncIterator[NatsBroker]:
    """Connect to `url` (None: ENGINE_NATS, or this machine's port 4222), streams provided.

    Who may not make streams finds them made (`provision` None), or makes no attempt (False).
    `identity` is who connects (None: ENGINE_USER and so on); `role` what it must be allowed to do.

    `replicas` is how many copies a stream has that is not there yet (None: ENGINE_REPLICAS, or 1);
    one that exists keeps what it has.

    `writes`: the process is a service that changes things, which a read-only context refuses.

    `patience` is for how many seconds a port that nobody listens on is tried again, and a cluster
    without a leader: the broker of
    a fleet that is just starting may be later than its workers. A broker that does answer, and
    refuses or is too old, is not asked twice.

    Raises:
        ConfigError: the address, ENGINE_REPLICAS or the identity makes no sense, or the context
            is read-only.
        BrokerError: there is no broker to work with; or, from the body, the connection has ended
            for good (a lost one is made again, for ever).
    """
    if writes:
        refuse_if_read_only()
    url = url or os.environ.get("ENGINE_NATS") or DEFAULT_NATS
    _check_address(url)
    clock = clock or SystemClock()
    replicas = _replicas() if replicas is None else replicas
    credentials = (load(IdentitySettings) if identity is None else identity).credentials()
    await _somebody_listens(url, clock=clock, patience=patience)
    reasons: list[str] = []
    try:
        async with asyncio.timeout(None) as scope:

            def closed(reason: str) -> None:
                reasons.append(reason)
                if not scope.expired():
                    scope.reschedule(asyncio.get_running_loop().time())

            service = "engine" if role is None else f"engine-{role.value}"
            async with (
                traced(service, name=name),
                connect(
                    url,
                    name=name,
                    clock=clock,
                    replicas=replicas,
                    provision=provision,
                    closed=closed,
                    credentials=credentials,
                    role=role,
                    patience=patience,
                ) as broker,
            ):
                yield broker
    except TimeoutError:
        if not reasons:
            raise
        raise BrokerError(f"the connection to the broker has ended: {reasons[0]}") from None


def _check_address(url: str) -> None:
    for one in url.split(","):
        try:
            _ = urlsplit(one).port
        except ValueError:  # no port from 0 to 65535, or half of an IPv6 address
            wanted = "a broker's URL such as nats://127.0.0.1:4222"
            raise ConfigError(f"{wanted}, found {masked(one)!r}") from None


def _replicas() -> int:
    found = os.environ.get("ENGINE_REPLICAS", "1")
    if found not in ("1", "3", "5"):
        raise ConfigError(f"ENGINE_REPLICAS: 1, 3 or 5, found {found!r}")
    return int(found)


async def _somebody_listens(url: str, *, clock: Clock, patience: float) -> None:
    """Wait until some address of `url` takes connections; give up without an error."""
    until = clock.monotonic() + patience
    told = False
    while clock.monotonic() < until:
        if any([await _listens(one) for one in url.split(",")]):
            return
        if not told:
            told = True
            _log.warning("broker_awaited", nats=masked(url), patience=patience)
        await clock.sleep(AGAIN_S)


async def _listens(url: str) -> bool:
    parts = urlsplit(url.strip())
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222)
    except (OSError, ValueError, TimeoutError):
        return False
    writer.close()
    return True
