"""Races the core against its peers: `python -m bench.peers`; `--check` compares answers only."""

import argparse
import sys
from collections.abc import Sequence

import msgspec

from bench.peers import entrants
from bench.peers.race import DisagreementError, Timing, agree, race

SIZES = (10_000, 100_000, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 where a peer does not answer as the core does."""
    words = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    words.add_argument("--check", action="store_true", help="compare answers, and time nothing")
    words.add_argument(
        "--campaigns", type=int, nargs="+", default=SIZES, metavar="N", help="how many to run with"
    )
    words.add_argument("--only", nargs="+", metavar="NAME", help="peers to run, by name")
    words.add_argument("--json", action="store_true", help="a line of JSON for each peer and size")
    asked = words.parse_args(arguments)
    for line in entrants.missing():
        _say(line)
    peers = [one for one in entrants.others() if asked.only is None or one.name in asked.only]
    core = entrants.core()
    try:
        for one in peers:
            agree(one, core)
            _say(f"{one.name}: answers as the core does")
        if asked.check:
            return 0
        for campaigns in asked.campaigns:
            for found in race(peers, core, campaigns):
                _tell(found, as_json=asked.json)
    except DisagreementError as error:
        _say(str(error))
        return 1
    return 0


def _tell(found: Timing | str, *, as_json: bool) -> None:
    if isinstance(found, str):
        _say(found)
        return
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        sys.stdout.flush()
    slots = found.campaigns * 4
    is_scaled = found.ran_campaigns != found.campaigns
    scaled = f", scaled from {found.ran_campaigns:,}" if is_scaled else ""
    _say(
        f"{found.campaigns:>9,} x 4  {found.name:15}"
        f" {found.ingest_s / slots * 1e9:8,.0f} ns/sample"
        f" {found.decide_s / found.campaigns * 1e9:9,.0f} ns/decision"
        f" {(found.ingest_s + found.decide_s) * 1000:9,.1f} ms a step"
        f"  core {(found.core_ingest_s + found.core_decide_s) * 1000:7,.2f} ms:"
        f" {found.ratio:7,.1f} times{scaled}"
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
