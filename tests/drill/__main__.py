"""`python -m drill`: torment a fleet of real processes, check what it wrote, print one line.

The exit code is 0 where everything held, 1 where the streams hold what must not be there (or lack
what must), and 3 where they are sound but the fleet did not decide again in time after a fault.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from drill.faults import WEIGHTS
from drill.history import Run, figures_of
from drill.picture import picture
from drill.run import Outcome, Plan, drill
from engine.clock import SystemClock
from engine.wiring import set_up_logs

__all__ = ["HARM", "NOT_RECOVERED", "SOUND", "main", "report"]

SOUND, HARM, NOT_RECOVERED = 0, 1, 3  # 2 is a wrong argument's


def main(arguments: Sequence[str]) -> int:
    """Run the drill as told; return the exit code."""
    given = _parser().parse_args(arguments)
    set_up_logs(given.log_level)
    runs = [int(one) for one in given.servers.split(",")]
    outcomes = []
    for number, servers in enumerate(runs):
        plan = Plan(
            servers=servers,
            workers=given.workers,
            campaigns=given.campaigns,
            interval=given.interval,
            seconds=given.minutes * 60 / len(runs),
            seed=given.seed + number,
            module="drill.toothless_worker" if given.toothless else "drill.worker",
            kinds=tuple(given.faults.split(",")) if given.faults else (),
            replayed=given.replay,
            is_quiet=given.quiet,
        )
        folder = given.keep / f"{servers}" if given.keep else None
        outcome = asyncio.run(drill(plan, clock=SystemClock(), folder=folder))
        outcomes.append(outcome)
        if given.picture:
            given.picture.parent.mkdir(parents=True, exist_ok=True)
            title = f"{plan.workers} workers, {servers} nats-server(s), seed {plan.seed}"
            path = given.picture.with_stem(f"{given.picture.stem}-{servers}")
            path.write_text(picture(outcome.history, outcome.faults, title=title))
    found = report(outcomes)
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    if found["ok"]:
        return SOUND
    return NOT_RECOVERED if all(one.is_sound for one in outcomes) else HARM


def report(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return what one line says of all runs."""
    verdicts = [outcome.verdict for outcome in outcomes]
    faults: Counter[str] = Counter(fault.kind for one in outcomes for fault in one.faults)
    figures = figures_of(
        [Run(one.plan.servers, one.plan.interval, one.history, one.faults) for one in outcomes]
    )

    def total(field: str) -> int:
        return sum(getattr(verdict, field) for verdict in verdicts)

    not_recovered = [fault.kind for one in outcomes for fault in one.not_recovered]
    return {
        "ok": all(one.is_sound for one in outcomes) and not not_recovered,
        "accepted": total("accepted"),
        "rounds": total("rounds"),
        "faults": dict(sorted(faults.items())),
        "stale": total("stale"),
        "gaps": total("gaps"),
        "duplicates": total("duplicates"),
        "lost_samples": total("lost_samples"),
        "extra_samples": total("extra_samples"),
        "overspend_micros": total("overspend_micros"),
        "replayed_rounds": sum(one.replayed_rounds for one in outcomes),
        "replay_differs": sum(one.replay_differs for one in outcomes),
        **msgspec.structs.asdict(figures),
        "not_recovered": not_recovered,
        "samples": sum(one.samples for one in outcomes),
        "frames_doubled": sum(one.doubled for one in outcomes),
        "frames_late": sum(one.late for one in outcomes),
        "changes": dict(sum((Counter(one.changes) for one in outcomes), Counter())),
        "takes": total("takes"),
        "seed": outcomes[0].plan.seed,
        "servers": [one.plan.servers for one in outcomes],
        "workers": outcomes[0].plan.workers,
        "duration_s": round(sum(one.seconds for one in outcomes), 1),
        "findings": [finding for verdict in verdicts for finding in verdict.findings],
        "errors": [line for one in outcomes for line in one.errors],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drill", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="over all runs together")
    parser.add_argument("--servers", default="1,3", help="nats-servers of each run: 1, 3, 1,3, …")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--campaigns", type=int, default=512)
    parser.add_argument("--interval", type=float, default=0.25, help="seconds between rounds")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", default="", help=f"kinds, with commas: {', '.join(WEIGHTS)}")
    parser.add_argument("--replay", type=int, default=16, help="partitions to be decided again")
    parser.add_argument("--quiet", action="store_true", help="say nothing while it runs")
    parser.add_argument("--picture", type=Path, help="an SVG for each run, named after its servers")
    parser.add_argument("--keep", type=Path, help="a directory for logs and stores")
    parser.add_argument("--log-level", default="error")
    parser.add_argument("--toothless", action="store_true", help="workers without the fence")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
