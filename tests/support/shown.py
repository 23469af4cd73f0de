"""What a test in a browser looks at: a dashboard, where it is, and the fleet behind it."""

from typing import NamedTuple

from engine.dashboard.service import DashboardService
from engine.messaging.memory import MemoryBroker
from support.dashboard import Fleet

__all__ = ["COUNT", "Shown"]

COUNT = 3_000  # campaigns of a large fleet


class Shown(NamedTuple):
    """A dashboard and what is behind it."""

    service: DashboardService
    url: str
    fleet: Fleet
    broker: MemoryBroker
