"""Where the parts meet the process: settings, logs, signals and the broker's connection."""

from engine.wiring.broker import DEFAULT_NATS, open_broker
from engine.wiring.logs import set_up_logs
from engine.wiring.process import Service, run_service, stopped_by_signals
from engine.wiring.settings import load

__all__ = [
    "DEFAULT_NATS",
    "Service",
    "load",
    "open_broker",
    "run_service",
    "set_up_logs",
    "stopped_by_signals",
]
