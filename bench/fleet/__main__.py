"""Runs a measurement: `python -m bench.fleet failover --kills 30`; prints one JSON line."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec

from bench.fleet.failover import failover
from bench.fleet.load import MODES, Asked, Load, load, table
from bench.fleet.progress import Progress
from bench.fleet.restart import restart
from bench.fleet.rolling import rolling
from engine.wiring import set_up_logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0; what was found is on stdout."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    for mode in getattr(asked, "modes", ()):
        if mode not in MODES:
            parser.error(f"MODE: one of {', '.join(MODES)}, found {mode!r}")
    set_up_logs("error")
    found = asyncio.run(_run(asked))
    if isinstance(found, Load) and not asked.json:
        sys.stdout.write(table(found) + "\n\n")
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0


async def _run(asked: argparse.Namespace) -> msgspec.Struct:
    if asked.what == "load":
        return await load(_load_asked(asked), progress=Progress())
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


def _load_asked(asked: argparse.Namespace) -> Asked:
    fields = {name: getattr(asked, name) for name in Asked.__struct_fields__}
    return msgspec.convert({name: value for name, value in fields.items() if value}, Asked)


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
    _add_load(what.add_parser("load", help="samples in to decisions committed; start"))
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    usual = Asked()
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"of {', '.join(MODES)}: all")
    parser.add_argument("--campaigns", type=int, nargs="+", help="one run for each: 10000")
    parser.add_argument("--workers", type=int, nargs="+", help="and for each of these: 1")
    for name, of in (
        ("partitions", "that have campaigns"),
        ("samples", "in the stream of a throughput"),
        ("rows", "samples a frame of a throughput"),
        ("rate", "samples a second of a freshness"),
        ("seconds", "that a freshness is fed for"),
        ("interval-ms", "between the rounds of a freshness"),
        ("tries", "of a start"),
    ):
        value = getattr(usual, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=type(value), help=f"{of}: {value:g}")
    parser.add_argument("--json", action="store_true", help="no table, only the JSON line")


if __name__ == "__main__":
    sys.exit(main())
