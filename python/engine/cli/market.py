"""`engine market`: the simulated market as a process of its own."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.metrics_page import served_metrics
from engine.clock import SystemClock
from engine.market.market import Market
from engine.messaging.identity import IdentitySettings
from engine.messaging.permissions import Role
from engine.metrics.market import market_families
from engine.simulation.service import MarketService
from engine.wiring import DEFAULT_NATS, load, open_broker, run_service, set_up_logs
from engine.wiring.process import stopped_by_signals
from engine.worker.settings import MetricsPort

__all__ = ["MarketSettings", "command"]

# _Flags are taken as text: a wrong one is then refused in the same words as a wrong variable.
_Flag = Annotated[str | None, Parameter(show_default=False)]

_PATIENCE_S = 30.0  # for a broker that starts at the same time


class MarketSettings(IdentitySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the market is and what kind of market it is."""

    name: Annotated[
        str, msgspec.Meta(description="a name such as market", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    ] = "market"
    nats: Annotated[
        str, msgspec.Meta(description="a URL such as nats://127.0.0.1:4222", min_length=1)
    ] = DEFAULT_NATS
    seed: Annotated[int, msgspec.Meta(description="a whole number such as 7")] = 7
    day_seconds: Annotated[
        float, msgspec.Meta(description="seconds above 0 such as 86400", gt=0)
    ] = 86_400.0
    step: Annotated[
        float, msgspec.Meta(description="seconds from 0.05 to 3600 such as 1", ge=0.05, le=3600)
    ] = 1.0
    origin: Annotated[
        float, msgspec.Meta(description="epoch seconds such as 0, when a Monday began")
    ] = 345_600.0  # 1970-01-05
    metrics_port: MetricsPort | None = None
    log_level: Annotated[
        str,
        msgspec.Meta(
            description="debug, info, warning or error", pattern="^(debug|info|warning|error)$"
        ),
    ] = "info"


def command(
    *,
    config: _Flag = None,
    name: _Flag = None,
    nats: _Flag = None,
    seed: _Flag = None,
    day_seconds: _Flag = None,
    step: _Flag = None,
    origin: _Flag = None,
    metrics_port: _Flag = None,
    log_level: _Flag = None,
) -> int:
    """Run the simulated ad platforms until SIGTERM or Ctrl-C.

    They sell to every campaign in the table under the newest published bids and caps, and report
    what was sold as frames of samples. The same seed makes the same market. Each setting may also
    be in the file under its own name, or in the environment as ENGINE_SEED and so on.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON.
    name
        The name under which it reports; market where not given.
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    seed
        Which market; 7 where not given.
    day_seconds
        How long a day of traffic takes; 86400 where not given. 60 shows a week in seven minutes.
    step
        Seconds between two reports; 1 where not given.
    origin
        Epoch seconds at which a Monday of the market began; 345600, in 1970, where not given.
    metrics_port
        PORT or HOST:PORT where /metrics answers Prometheus; nowhere where not given. PORT is this
        machine only.
    log_level
        debug, info, warning or error; info where not given.
    """
    flags = {
        "name": name,
        "nats": nats,
        "seed": seed,
        "day_seconds": day_seconds,
        "step": step,
        "origin": origin,
        "metrics_port": metrics_port,
        "log_level": log_level,
    }
    settings = load(MarketSettings, file=config, flags=flags)
    set_up_logs(settings.log_level)
    return run_service(lambda: _serve(settings), name="engine market")


async def _serve(settings: MarketSettings) -> None:
    clock = SystemClock()
    async with open_broker(
        settings.nats,
        name=settings.name,
        clock=clock,
        patience=_PATIENCE_S,
        identity=settings,
        role=Role.GATEWAY,
        writes=True,
    ) as broker:
        service = MarketService(
            broker=broker,
            market=Market(
                seed=settings.seed,
                step_ms=round(settings.step * 1000),
                day_seconds=settings.day_seconds,
                origin_ms=round(settings.origin * 1000),
            ),
            clock=clock,
            name=settings.name,
        )
        page = served_metrics(
            settings.metrics_port,
            service="market",
            collect=lambda: market_families(service.figures()),
        )
        async with stopped_by_signals(service), page:
            await service.run()
