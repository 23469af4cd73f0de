"""The exporter: follows the streams and keeps what the fleet's page shows. It changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from prometheus_client.core import Metric

from engine.clock import Clock
from engine.errors import EngineError
from engine.messaging.background import beside
from engine.messaging.inspection import StreamFacts
from engine.messaging.ports import Broker, Message
from engine.metrics.board import Board
from engine.metrics.fleet import fleet_families
from engine.metrics.forecast_errors import ForecastErrors

__all__ = ["Exporter", "Look"]

_log = structlog.get_logger(__name__)

LOOK_S = 5.0

Look = Callable[[], Awaitable[Sequence[StreamFacts]]]
"""Asks the broker for what it says of the streams."""


class Exporter:
    """`run` follows until `stop`; `families` is the page of the moment."""

    def __init__(self, *, broker: Broker, clock: Clock, look: Look | None = None) -> None:
        self.board = Board(broker=broker, clock=clock)
        self.is_ready = False
        self._broker = broker
        self._clock = clock
        self._look = look
        self._errors = ForecastErrors()
        self._streams: Sequence[StreamFacts] = ()
        self._samples = 0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Follow until stopped."""
        self.board.on_decide = self._errors.forecast
        async with (
            self.board.following(),
            self._broker.frames.follow(self._on_frame, after=None),
            beside(self._keep_looking(), name="look at streams"),
        ):
            self.is_ready = True
            _log.info("exporter_ready", campaigns=len(self.board.campaigns))
            await self._stopping.wait()

    def stop(self) -> None:
        """Ask for the end; asked again, it changes nothing."""
        self._stopping.set()

    def families(self) -> Iterable[Metric]:
        """Return the fleet's families of this moment; none before everything was read once."""
        if not self.is_ready:
            return ()
        return fleet_families(
            self.board,
            self._errors,
            now=self._clock.now(),
            samples=self._samples,
            streams=self._streams,
            is_connected=self._broker.is_connected,
        )

    def _on_frame(self, message: Message) -> None:
        self._samples += self._errors.count(message, self.board.campaigns)

    async def _keep_looking(self) -> None:
        while self._look is not None:
            try:
                self._streams = await self._look()
            except EngineError as error:
                _log.warning("streams_not_seen", reason=str(error))
            await self._clock.sleep(LOOK_S)
        await self._stopping.wait()
