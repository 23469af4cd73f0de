"""`engine sandbox`: local ad platforms with a simulated market behind them."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.market import MarketSettings
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.market.market import Market
from engine.messaging.permissions import Role
from engine.sandbox.ground import MarketGround
from engine.sandbox.stand import AD_ACCOUNTS, Stand
from engine.wiring import load, open_broker, run_service, set_up_logs
from engine.wiring.process import stopped_by_signals

__all__ = ["SandboxSettings", "command", "platforms_of"]

# Flags are taken as text: a wrong one is then refused in the same words as a wrong variable.
_Flag = Annotated[str | None, Parameter(show_default=False)]

_PATIENCE_S = 30.0  # for a broker that starts at the same time


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
    config: _Flag = None,
    platforms: _Flag = None,
    directory: _Flag = None,
    name: _Flag = None,
    nats: _Flag = None,
    seed: _Flag = None,
    day_seconds: _Flag = None,
    step: _Flag = None,
    origin: _Flag = None,
    log_level: _Flag = None,
) -> int:
    """Run local ad platforms until SIGTERM or Ctrl-C: Google Ads, Meta and TikTok as they answer.

    Behind them is a simulated market: it sells under the bids, budgets and pauses that the
    platforms hold, and fills their reports. What campaigns in the table are linked to exists there.
    Once all listen, DIRECTORY/gateway.yaml says where, for `engine gateway --accounts`.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON.
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
    flags = {key: value for key, value in locals().items() if key != "config"}
    settings = load(SandboxSettings, file=config, flags=flags)
    wanted = platforms_of(settings.platforms)
    set_up_logs(settings.log_level)
    return run_service(lambda: _serve(settings, wanted), name="engine sandbox")


def platforms_of(text: str) -> tuple[str, ...]:
    """Return the platforms in a list with commas. Raises ConfigError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    strange = [name for name in names if name not in AD_ACCOUNTS]
    if strange or not names:
        known = ", ".join(AD_ACCOUNTS)
        raise ConfigError(f"platforms: some of {known} wanted, found {text!r}")
    return names


async def _serve(settings: SandboxSettings, platforms: tuple[str, ...]) -> None:
    clock = SystemClock()
    market = Market(
        seed=settings.seed,
        step_ms=round(settings.step * 1000),
        day_seconds=settings.day_seconds,
        origin_ms=round(settings.origin * 1000),
    )
    async with open_broker(
        settings.nats,
        name=settings.name,
        clock=clock,
        patience=_PATIENCE_S,
        identity=settings,
        role=Role.GATEWAY,
    ) as broker:
        service = Stand(
            broker=broker,
            ground=MarketGround(market, platforms=platforms),
            clock=clock,
            directory=Path(settings.directory),
        )
        async with stopped_by_signals(service):
            await service.run()
