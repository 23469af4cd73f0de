"""Runs a measurement: `python -m bench.fleet failover --kills 30`; prints one JSON line."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec

from bench.fleet.failover import failover
from bench.fleet.restart import restart
from bench.fleet.rolling import rolling


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; what was found is on stdout."""
    asked = _parser().parse_args(arguments)
    found = asyncio.run(_run(asked))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0


async def _run(asked: argparse.Namespace) -> msgspec.Struct:
    if asked.what == "restart":
        return await restart(
            restarts=asked.restarts,
            interval=asked.interval,
            workers=asked.workers,
            campaigns=asked.campaigns,
            seed=asked.seed,
        )
    if asked.what == "rolling":
        return await rolling(
            interval=asked.interval, workers=asked.workers, campaigns=asked.campaigns
        )
    return await failover(
        kills=asked.kills,
        interval=asked.interval,
        workers=asked.workers,
        campaigns=asked.campaigns,
        events=not asked.no_events,
        stop=asked.stop,
        seed=asked.seed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("failover", help="kill -9 (or SIGSTOP) of one worker after another")
    one.add_argument("--kills", type=int, default=30)
    one.add_argument("--stop", action="store_true", help="SIGSTOP: no connection ends")
    one.add_argument("--no-events", action="store_true", help="the server tells of no client")
    two = what.add_parser("restart", help="kill -9 of nats-server, and its start")
    two.add_argument("--restarts", type=int, default=10)
    three = what.add_parser("rolling", help="every worker replaced by another, in turn")
    for each in (one, two, three):
        each.add_argument("--interval", type=float, default=0.25)
        each.add_argument("--workers", type=int, default=3)
        each.add_argument("--campaigns", type=int, default=128)
        each.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
