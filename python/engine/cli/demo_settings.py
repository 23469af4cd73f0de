"""What kind of demo: its settings, and which of them make no sense."""

from pathlib import Path

import msgspec

from engine.cli.arguments import check_writable
from engine.cli.demo_page import check_plots
from engine.domain.ids import PARTITIONS
from engine.errors import ConfigError

__all__ = ["DemoSettings", "check_demo"]


class DemoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of demo."""

    duration: float | None
    campaigns: int
    workers: int
    seed: int
    interval: float
    step: float
    day_seconds: float
    servers: int = 1
    snapshot: Path | None = None
    dashboard_port: int | None = None  # None: no dashboard
    platforms: tuple[str, ...] = ()  # local ones, with a gateway in front; none: the market alone
    report: Path | None = None


def check_demo(settings: DemoSettings) -> None:
    """Raise ConfigError for the first setting that makes no sense."""
    ranges: tuple[tuple[str, float | None, float, float], ...] = (
        ("duration", settings.duration, 1.0, 30 * 86_400),
        ("campaigns", settings.campaigns, 1, 1_000_000),
        ("workers", settings.workers, 1, PARTITIONS),
        ("seed", settings.seed, 0, 2**63 - 1),
        ("interval", settings.interval, 0.05, 3600.0),
        ("step", settings.step, 0.05, 3600.0),
        ("day-seconds", settings.day_seconds, 1.0, 30 * 86_400),
        ("dashboard-port", settings.dashboard_port, 1, 65_535),
    )
    for name, found, least, most in ranges:
        if found is not None and not least <= found <= most:
            wanted = f"at least {_plain(least)}, at most {_plain(most)}"
            raise ConfigError(f"--{name}: {wanted}, found {_plain(found)}")
    if settings.snapshot is not None:
        check_writable("--snapshot", settings.snapshot)
    if settings.report is not None:
        if settings.platforms:
            raise ConfigError("--report: the market alone, found --platforms beside it")
        check_plots("--report")
        check_writable("--report", settings.report)


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
