"""The health page: what is well, what is not, and what to do about it."""

import asyncio
from typing import Any

import structlog

from engine.dashboard.live import Live
from engine.dashboard.overview import alive_workers
from engine.domain.ids import PARTITIONS
from engine.errors import BrokerError
from engine.messaging.ports import StreamSize
from engine.messaging.subjects import (
    CAMPAIGNS_STREAM,
    DEAD_STREAM,
    DECISIONS_STREAM,
    METRICS_STREAM,
    STATE_STREAM,
)

__all__ = ["Gauge", "health_page"]

_log = structlog.get_logger(__name__)

STREAMS = (METRICS_STREAM, DECISIONS_STREAM, CAMPAIGNS_STREAM, STATE_STREAM, DEAD_STREAM)
_FULL = 0.9  # of a stream's bytes, from where on it is worth a word


class Gauge:
    """How much the streams hold, asked now and then; the pages read what was found."""

    def __init__(self, *, live: Live, every_s: float = 5.0) -> None:
        self._live = live
        self._every_s = every_s
        self.sizes: list[StreamSize] = []
        self.problem = ""

    async def run(self) -> None:
        """Ask until cancelled. A broker that is away, or refuses, is asked again."""
        while True:
            try:
                async with asyncio.timeout(self._every_s * 2):
                    self.sizes = await self._live.broker.sizes(STREAMS)
                self.problem = ""
            except (BrokerError, TimeoutError) as error:
                self.problem = str(error) or "no answer in time"
                _log.info("streams_not_sized", reason=self.problem)
            await self._live.clock.sleep(self._every_s)

    @property
    def dead_letters(self) -> int | None:
        """Return how many dead letters are kept; None where that is not known."""
        return next((one.messages for one in self.sizes if one.name == DEAD_STREAM), None)


def health_page(live: Live, gauge: Gauge, *, viewers: int) -> dict[str, Any]:
    """Return checks, worst first, and the sizes of the streams."""
    checks = [check for check in _checks(live, gauge) if check is not None]
    checks.sort(key=lambda check: _ORDER[check["level"]])
    return {
        "checks": checks,
        "streams": [one._asdict() for one in gauge.sizes],
        "streams_problem": gauge.problem,
        "viewers": viewers,
        "unreadable": live.unreadable,
        "started_at": round(live.started_at, 1),
    }


_ORDER = {"bad": 0, "warn": 1, "ok": 2}


def _check(level: str, name: str, text: str, hint: str = "") -> dict[str, str]:
    return {"level": level, "name": name, "text": text, "hint": hint}


def _checks(live: Live, gauge: Gauge) -> list[dict[str, str] | None]:
    return [
        _broker(live),
        _reading(live),
        _workers(live),
        _partitions(live),
        _rounds(live),
        _halt(live),
        _letters(gauge),
        _gateways(live),
        *(_stream(one) for one in gauge.sizes),
    ]


def _broker(live: Live) -> dict[str, str]:
    if live.broker.is_connected:
        return _check("ok", "Broker", "connected")
    hint = (
        "Budgets stay as last committed. Look at the nats-server; everything comes back by itself."
    )
    return _check("bad", "Broker", f"away for {live.silent_s:.0f} s", hint)


def _reading(live: Live) -> dict[str, str]:
    lag = live.lag
    if not live.is_caught_up:
        left = "an unknown number of" if lag is None else f"{lag:,}"
        return _check("warn", "This dashboard", f"still reading back, {left} messages to go")
    if lag is not None and lag > 10_000:
        hint = "The machine this runs on is too busy: figures are late."
        return _check("warn", "This dashboard", f"{lag:,} messages behind", hint)
    if live.unreadable:
        hint = "Somebody publishes what this version cannot read: compare the versions in use."
        return _check("warn", "This dashboard", f"{live.unreadable:,} messages not read", hint)
    return _check("ok", "This dashboard", "reads as fast as things happen")


def _workers(live: Live) -> dict[str, str]:
    alive, known = len(alive_workers(live)), len(live.workers)
    if not known:
        return _check("bad", "Workers", "none heard", "Start one: engine worker --name worker-1")
    versions = {one.beat.version for one in live.workers.values()}
    if not alive:
        hint = "Nothing is decided. Start workers: engine worker --name worker-1"
        return _check("bad", "Workers", f"none of {known} alive", hint)
    if alive < known:
        names = ", ".join(sorted(set(live.workers) - set(alive_workers(live))))
        hint = "The others have taken over its partitions; it is forgotten after ten minutes."
        return _check("warn", "Workers", f"{alive} of {known} alive, not {names}", hint)
    if len(versions) > 1:
        hint = "Fine during an upgrade, not for long."
        return _check("warn", "Workers", f"versions {', '.join(sorted(versions))}", hint)
    return _check("ok", "Workers", f"{alive} alive, version {next(iter(versions))}")


def _partitions(live: Live) -> dict[str, str] | None:
    if not live.is_caught_up:
        return None
    free = [n for n in range(PARTITIONS) if n not in live.owners or not live.owners[n].name]
    if not free:
        return _check("ok", "Partitions", f"all {PARTITIONS} owned")
    shown = ", ".join(map(str, free[:12])) + (" …" if len(free) > 12 else "")
    hint = "Their campaigns are not decided for. A worker takes free partitions within a second."
    return _check("bad", "Partitions", f"{len(free)} without an owner: {shown}", hint)


def _rounds(live: Live) -> dict[str, str] | None:
    rows = [one.beat for one in live.workers.values()]
    late, skipped = sum(one.late_rounds for one in rows), sum(one.skipped_rounds for one in rows)
    if not rows:
        return None
    if skipped:
        hint = "Rounds take longer than their interval: add workers, or a longer --interval."
        return _check("warn", "Rounds", f"{late:,} late, {skipped:,} left out", hint)
    if late:
        return _check("ok", "Rounds", f"{late:,} late since the workers' start, none left out")
    return _check("ok", "Rounds", "on time")


def _halt(live: Live) -> dict[str, str] | None:
    if not live.halted:
        return None
    count = len(live.halted)
    where = "everywhere" if count == PARTITIONS else f"in {count} of {PARTITIONS} partitions"
    return _check("bad", "Kill switch", f"on {where}: nobody bids", "engine halt --off ends it.")


def _letters(gauge: Gauge) -> dict[str, str] | None:
    count = gauge.dead_letters
    if count is None:
        return None
    if not count:
        return _check("ok", "Dead letters", "none")
    hint = "engine dead list says what they are and why; engine dead retry sends them again."
    return _check("warn", "Dead letters", f"{count:,} kept", hint)


def _gateways(live: Live) -> dict[str, str]:
    now = live.clock.monotonic()
    heard = {name: now - at for name, (_, at) in live.gateways.items()}
    if not heard:
        hint = (
            "Decisions reach no ad platform: fine with the simulated market or your own consumer."
        )
        return _check("ok", "Gateways", "none heard", hint)
    silent = sorted(name for name, age in heard.items() if age > 5.0)
    if silent:
        return _check("bad", "Gateways", f"silent: {', '.join(silent)}", "Changes wait for them.")
    return _check("ok", "Gateways", f"{len(heard)} heard")


def _stream(one: StreamSize) -> dict[str, str] | None:
    """Return a word on the one stream that refuses when it is full; of others the oldest goes."""
    if one.name != CAMPAIGNS_STREAM or not one.max_bytes or one.bytes < _FULL * one.max_bytes:
        return None
    hint = "New campaigns will be refused: give the stream more bytes."
    return _check("warn", one.name, f"{one.bytes / one.max_bytes:.0%} full", hint)
