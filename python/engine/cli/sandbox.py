"""`engine sandbox`: local ad platforms with a simulated market behind them."""

from pathlib import Path
from typing import Annotated

import msgspec

from engine.cli.market import MarketSettings
from engine.cli.serving import PATIENCE_S, Flag, serve_with
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.messaging.permissions import Role
from engine.sandbox.ground import MarketGround
from engine.sandbox.stand import AD_ACCOUNTS, Stand
from engine.wiring import open_broker, stopped_by_signals

__all__ = ["SandboxSettings", "command", "platforms_of"]


class SandboxSettings(MarketSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which platforms, where their files go, and what kind of market is behind them."""

    name: Annotated[
        str, msgspec.Meta(description="a name such as sandbox", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    ] = "sandbox"
    platforms: Annotated[
        str, msgspec.Meta(description="names such as google,meta,tiktok", min_length=1)
    ] = ",".join(AD_ACCOUNTS)
    directory: Annotated[
        str, msgspec.Meta(description="a directory such as sandbox", min_length=1)
    ] = "sandbox"


def command(
    *,
    config: Flag = None,
    platforms: Flag = None,
    directory: Flag = None,
    name: Flag = None,
    nats: Flag = None,
    seed: Flag = None,
    day_seconds: Flag = None,
    step: Flag = None,
    origin: Flag = None,
    log_level: Flag = None,
) -> int:
    """Run local ad platforms until SIGTERM or Ctrl-C: Google Ads, Meta and TikTok as they answer.

    Behind them is a simulated market: it sells under the bids, budgets and pauses that the
    platforms hold, and fills their reports. What campaigns in the table are linked to exists there.
    Once all listen, DIRECTORY/gateway.yaml says where, for `engine gateway --accounts`.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
    platforms
        Which ones, with commas; google,meta,tiktok where not given.
    directory
        Where gateway.yaml and credentials.yaml are written; sandbox where not given.
    name
        The name under which it connects to the broker; sandbox where not given.
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    seed
        Which market; 7 where not given.
    day_seconds
        How long a day of traffic takes; 86400 where not given.
    step
        Seconds between two steps of the market; 1 where not given.
    origin
        Epoch seconds at which a Monday of the market began; 345600, in 1970, where not given.
    log_level
        debug, info, warning or error; info where not given.
    """
    return serve_with(SandboxSettings, _serve, locals(), name="engine sandbox")


def platforms_of(text: str) -> tuple[str, ...]:
    """Return the platforms in a list with commas. Raises ConfigError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    strange = [name for name in names if name not in AD_ACCOUNTS]
    if strange or not names:
        known = ", ".join(AD_ACCOUNTS)
        raise ConfigError(f"platforms: some of {known} wanted, found {text!r}")
    return names


async def _serve(settings: SandboxSettings) -> None:
    clock, platforms = SystemClock(), platforms_of(settings.platforms)
    async with open_broker(
        settings.nats,
        name=settings.name,
        clock=clock,
        patience=PATIENCE_S,
        identity=settings,
        role=Role.GATEWAY,
    ) as broker:
        service = Stand(
            broker=broker,
            ground=MarketGround(settings.market(), platforms=platforms),
            clock=clock,
            directory=Path(settings.directory),
        )
        async with stopped_by_signals(service):
            await service.run()
