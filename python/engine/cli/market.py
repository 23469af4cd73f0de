"""`engine market`: the simulated market as a process of its own."""

from typing import Annotated

import msgspec

from engine.cli.serving import PATIENCE_S, Flag, ServiceSettings, serve_with, served_metrics
from engine.clock import SystemClock
from engine.market.market import Market
from engine.messaging.permissions import Role
from engine.metrics.market import market_families
from engine.simulation.service import MarketService
from engine.wiring import open_broker, stopped_by_signals
from engine.worker.settings import MetricsPort

__all__ = ["MarketSettings", "command"]


class MarketSettings(ServiceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the market is and what kind of market it is."""

    name: Annotated[
        str, msgspec.Meta(description="a name such as market", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    ] = "market"
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

    def market(self) -> Market:
        """Return the market."""
        return Market(
            seed=self.seed,
            step_ms=round(self.step * 1000),
            day_seconds=self.day_seconds,
            origin_ms=round(self.origin * 1000),
        )


def command(
    *,
    config: Flag = None,
    name: Flag = None,
    nats: Flag = None,
    seed: Flag = None,
    day_seconds: Flag = None,
    step: Flag = None,
    origin: Flag = None,
    metrics_port: Flag = None,
    log_level: Flag = None,
) -> int:
    """Run the simulated ad platforms until SIGTERM or Ctrl-C.

    They sell to every campaign in the table under the newest published bids and caps, and report
    what was sold as frames of samples. The same seed makes the same market. Each setting may also
    be in the file under its own name, or in the environment as ENGINE_SEED and so on.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
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
    return serve_with(MarketSettings, _serve, locals(), name="engine market")


async def _serve(settings: MarketSettings) -> None:
    clock = SystemClock()
    async with open_broker(
        settings.nats,
        name=settings.name,
        clock=clock,
        patience=PATIENCE_S,
        identity=settings,
        role=Role.GATEWAY,
        writes=True,
    ) as broker:
        service = MarketService(
            broker=broker,
            market=settings.market(),
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
