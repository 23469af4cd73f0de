"""`engine dashboard`: the fleet in a browser."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.campaigns.repository import Repository
from engine.cli.orders import wanted
from engine.cli.serving import PATIENCE_S, Flag, ServiceSettings, serve_with, served_metrics
from engine.cli.session import author
from engine.cli.versions import engine_version
from engine.clock import Clock, SystemClock
from engine.dashboard.guard import is_local
from engine.dashboard.service import DashboardService, listen
from engine.domain.lifecycle import State
from engine.errors import ConfigError
from engine.messaging.credentials import masked
from engine.messaging.permissions import Role
from engine.wiring import open_broker, stopped_by_signals
from engine.worker.settings import MetricsPort

__all__ = ["DEFAULT_PORT", "CampaignSteering", "DashboardSettings", "command"]

DEFAULT_PORT = 8787
_SHORTEST_TOKEN = 16


class DashboardSettings(ServiceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the dashboard is, who may see it, and what it may do."""

    port: Annotated[
        int, msgspec.Meta(description="a port from 0 (any that is free) to 65535", ge=0, le=65_535)
    ] = DEFAULT_PORT
    bind: Annotated[
        str, msgspec.Meta(description="an address such as 127.0.0.1 or 0.0.0.0", min_length=1)
    ] = "127.0.0.1"
    host: Annotated[
        str,
        msgspec.Meta(
            description="names that browsers call it by, with commas between",
            pattern=r"^[A-Za-z0-9.,:\[\]-]*$",
        ),
    ] = ""
    allow_changes: Annotated[bool, msgspec.Meta(description="true or false")] = False
    access_token: (
        Annotated[
            str,
            msgspec.Meta(
                title="The token itself; a file is better",
                min_length=_SHORTEST_TOKEN,
                description=f"a text of at least {_SHORTEST_TOKEN} characters",
                extra={"secret": True},
            ),
        ]
        | None
    ) = None
    access_token_file: Annotated[str, msgspec.Meta(description="the path of a file")] | None = None
    every: Annotated[
        float, msgspec.Meta(description="seconds from 0.2 to 60 such as 1", ge=0.2, le=60)
    ] = 1.0
    viewers: Annotated[
        int, msgspec.Meta(description="a number of streams from 1 such as 1000", ge=1, le=100_000)
    ] = 1_000
    metrics_port: MetricsPort | None = None

    def access(self) -> str:
        """Return the token that was chosen; "" where none was. Raises ConfigError."""
        if self.access_token_file is None:
            return self.access_token or ""
        try:
            found = Path(self.access_token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no text"
            where = self.access_token_file
            raise ConfigError(
                f"access_token_file: {where}: a file to read, found {reason}"
            ) from None
        if len(found) < _SHORTEST_TOKEN:
            wanted = f"at least {_SHORTEST_TOKEN} characters"
            raise ConfigError(f"access_token_file: {wanted}, found {len(found)}")
        return found


def command(
    *,
    config: Flag = None,
    nats: Flag = None,
    port: Flag = None,
    bind: Flag = None,
    host: Flag = None,
    allow_changes: Annotated[bool, Parameter(negative="")] = False,
    access_token_file: Flag = None,
    every: Flag = None,
    viewers: Flag = None,
    metrics_port: Flag = None,
    log_level: Flag = None,
) -> int:
    """Show the fleet in a browser until SIGTERM or Ctrl-C.

    Reads what the broker has and changes nothing, unless started with --allow-changes: then whoever
    has the token may pause, resume and stop campaigns, and turn the kill switch. Each setting may
    also be in the file under its own name, or in the environment as ENGINE_PORT and so on.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    port
        Where to listen; 8787 where not given, 0 for any port that is free.
    bind
        Which address to listen on; 127.0.0.1, this machine only, where not given. Any other needs
        a token, and should stand behind a proxy that speaks TLS.
    host
        Names that browsers call it by, beside localhost; with commas between.
    allow_changes
        Let whoever has the token change campaigns.
    access_token_file
        File with the token (also ENGINE_ACCESS_TOKEN); a new one at each start where not given.
    every
        Seconds between two updates of a page; 1 where not given.
    viewers
        How many may look at the same time; 1000 where not given.
    metrics_port
        PORT or HOST:PORT where /metrics tells Prometheus of this process; nowhere where not given.
    log_level
        debug, info, warning or error; info where not given.
    """
    given = locals() | {"allow_changes": allow_changes or None}
    return serve_with(DashboardSettings, _serve, given, name="engine dashboard")


async def _serve(settings: DashboardSettings) -> None:
    clock = SystemClock()
    chosen = settings.access()
    token = chosen or secrets.token_urlsafe(24)
    sock = listen(settings.bind, settings.port, has_token=bool(chosen))
    with sock:
        async with open_broker(
            settings.nats,
            name="dashboard",
            clock=clock,
            patience=PATIENCE_S,
            identity=settings,
            role=Role.OPERATOR if settings.allow_changes else Role.DASHBOARD,
            writes=settings.allow_changes,
        ) as broker:
            repository = Repository(table=broker.campaigns, clock=clock, by=f"{author()} dashboard")
            service = DashboardService(
                broker=broker,
                clock=clock,
                sock=sock,
                token=token,
                hosts=tuple(one for one in settings.host.split(",") if one),
                reading_needs_token=not is_local(settings.bind),
                steering=CampaignSteering(repository, clock) if settings.allow_changes else None,
                version=engine_version(),
                place=masked(settings.nats),
                every_s=settings.every,
                most_viewers=settings.viewers,
            )
            _say(settings, sock.getsockname()[1], "" if chosen else token)
            page = served_metrics(settings.metrics_port, service="dashboard")
            async with stopped_by_signals(service), page:
                await service.run()


class CampaignSteering:
    """What the pages may order, done as the command line does it."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def move(self, campaign: str, verb: str, *, note: str) -> tuple[State, State]:
        return await self._repository.move(
            campaign, lambda one: wanted(verb, one, self._clock.now()), note=note
        )

    async def halt(self, is_halted: bool, *, note: str) -> int:
        return await self._repository.halt(is_halted, note=note)


def _say(settings: DashboardSettings, port: int, new_token: str) -> None:
    """Tell a person where to look; the token goes in the part that browsers keep to themselves."""
    name = "127.0.0.1" if is_local(settings.bind) else settings.host.split(",")[0] or settings.bind
    address = f"http://{name}:{port}/"
    if settings.allow_changes and new_token:
        address += f"#token={new_token}"
    sys.stderr.write(f"dashboard: {address}\n")
    sys.stderr.flush()
