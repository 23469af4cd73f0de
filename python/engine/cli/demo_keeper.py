"""Who starts the demo's broker again where somebody has killed it."""

from collections.abc import Sequence

from engine.clock import Clock
from engine.messaging.embedded import EmbeddedServer
from engine.messaging.ports import Broker

__all__ = ["Keeper"]

_SILENT_SECONDS = 2.0


class Keeper:
    """Starts the broker again where it has died or hangs: the others wait for it."""

    def __init__(self, servers: Sequence[EmbeddedServer], broker: Broker, clock: Clock) -> None:
        self._servers = servers
        self._broker = broker
        self._clock = clock
        self._seen = dict.fromkeys(servers, clock.monotonic())

    async def look(self) -> None:
        """See which servers live; after two seconds without, end what is left and start it again.

        A server alone is taken for dead where it does not answer; one of a cluster where its
        process has ended, for the others answer in its place.

        Raises BrokerError where one does not come up again.
        """
        for server in self._servers:
            now = self._clock.monotonic()
            is_alone = len(self._servers) == 1
            if self._broker.is_connected if is_alone else server.is_running:
                self._seen[server] = now
            elif now - self._seen[server] >= _SILENT_SECONDS:
                await server.kill()
                await server.start()
                self._seen[server] = self._clock.monotonic()
