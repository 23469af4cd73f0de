"""The dashboard as a long-lived service: follows the streams, answers browsers until stopped."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import structlog
import uvicorn

from engine.clock import Clock
from engine.dashboard.app import Site
from engine.dashboard.guard import LOCAL_HOSTS, is_local
from engine.dashboard.health import Gauge
from engine.dashboard.hub import Hub
from engine.dashboard.live import Live
from engine.dashboard.outlook import Outlooks
from engine.dashboard.steering import Steering
from engine.dashboard.views import Views
from engine.errors import ConfigError
from engine.messaging.ports import Broker

__all__ = ["DashboardService", "listen"]

_log = structlog.get_logger(__name__)
_GRACE_S = 1


class DashboardService:
    """Serves the pages on a socket that listens already. `token` is for what it names."""

    def __init__(
        self,
        *,
        broker: Broker,
        clock: Clock,
        sock: socket.socket,
        token: str,
        hosts: tuple[str, ...] = (),
        reading_needs_token: bool = False,
        steering: Steering | None = None,
        version: str = "",
        place: str = "",
        every_s: float = 1.0,
        most_viewers: int = 1_000,
    ) -> None:
        self.live = Live(broker=broker, clock=clock)
        self._gauge = Gauge(live=self.live)
        self._views = Views(live=self.live, gauge=self._gauge)
        self.hub = Hub(
            render=self._views.render,
            summary=self._views.head,
            clock=clock,
            every_s=every_s,
            most_viewers=most_viewers,
        )
        self._site = Site(
            live=self.live,
            hub=self.hub,
            outlooks=Outlooks(broker=broker, clock=clock),
            steering=steering,
            version=version,
            place=place,
        )
        app = self._site.app(
            hosts=(*LOCAL_HOSTS, *hosts), token=token, reading_needs_token=reading_needs_token
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            limit_concurrency=most_viewers + 200,
        )
        self._server = _Server(config)
        self._sock = sock
        self._is_stopping = False

    @property
    def is_serving(self) -> bool:
        """Return whether requests are answered."""
        return self._server.started

    async def run(self) -> None:
        """Follow and serve until stopped."""
        async with self.live.following(), asyncio.TaskGroup() as group:
            beside = (
                group.create_task(self.hub.run(self._look)),
                group.create_task(self._gauge.run()),
            )
            _log.info("dashboard_serves", at=self._sock.getsockname())
            try:
                await self._server.serve(sockets=[self._sock])
            finally:
                for task in beside:
                    task.cancel()

    def stop(self) -> None:
        """Ask for the end; asked again, it waits for no viewer."""
        self._server.force_exit = self._is_stopping
        self._is_stopping = True
        self.hub.close()
        self._server.should_exit = True

    def _look(self) -> None:
        self.live.look()
        self._views.viewers = self.hub.viewers


class _Server(uvicorn.Server):
    """uvicorn, which leaves the process's signals to those who own the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(bind: str, port: int, *, has_token: bool) -> socket.socket:
    """Return a socket that listens. `has_token`: somebody has chosen a token.

    Raises ConfigError where others could read along without a token, or the address is taken.
    """
    if not is_local(bind) and not has_token:
        wanted = "a token where others can reach it (--access-token-file FILE)"
        raise ConfigError(f"--bind {bind}: {wanted}, found none")
    host = bind.strip("[]")
    sock: socket.socket | None = None
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, number)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except (OSError, OverflowError) as error:
        if sock is not None:
            sock.close()
        code = getattr(error, "errno", None)
        hint = "; --port 0 takes any that is free" if code == errno.EADDRINUSE else ""
        reason = getattr(error, "strerror", None) or str(error)
        found = f"found {bind}:{port}: {reason}{hint}"
        raise ConfigError(f"--bind and --port: an address to listen on, {found}") from None
    sock.listen(512)
    sock.setblocking(False)
    return sock
