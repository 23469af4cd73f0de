"""`engine replay`: what a fleet has recorded, decided again."""

from typing import Annotated

from cyclopts import Parameter

from engine.backtest.changes import Change, parse_change
from engine.cli.arguments import Whole, time_of
from engine.cli.output import as_json, complain, progress, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.ids import PARTITIONS
from engine.domain.money import MICROS
from engine.errors import ConfigError
from engine.wiring import load
from engine.worker.rerun import Difference, Rerun, rerun
from engine.worker.settings import WorkerSettings
from engine.worker.whatif import CampaignComparison, Comparison

__all__ = ["command"]

DONE, DIFFERS = 0, 1
MOST_SHOWN = 30


def command(
    *,
    partition: Annotated[list[Whole] | None, Parameter(negative="")] = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    interval: float | None = None,
    window: Whole | None = None,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Decide recorded rounds again and compare every decision with the record, to the bit.

    Nothing is written. A partition is replayed from the beginning of its chain where all inputs are
    still kept, from its newest snapshot otherwise. The exit code is 1 where a decision came out
    otherwise; the first one is shown.

    With --set the rounds are decided a second time by other parameters, beside the first: what
    would have been decided otherwise, over the same samples. Those are what the recorded bids
    brought; what other bids would have brought, no recording says (`engine backtest` models it).

    Parameters
    ----------
    partition
        Partitions, 0 to 63; all of them where not given.
    from_
        Compare from this time on: ISO 8601 (UTC where it names no zone) or epoch seconds.
    to
        Compare up to this time.
    set_
        Change campaigns from then on: max_change=0.2, budget=x1.5, strategy=even-pacing; window=32
        the engine's.
    interval
        Seconds between the workers' rounds; read off the record where not given.
    window
        The workers' window; ENGINE_WINDOW or 64 where not given.
    """
    changes = [parse_change(text) for text in set_ or ()]
    settings = load(WorkerSettings, flags={"interval": interval, "window": window})
    numbers = _partitions(partition)
    from_at, to_at = time_of("--from", from_), time_of("--to", to)
    if from_at is not None and to_at is not None and from_at > to_at:
        raise ConfigError(f"--to: a time after --from, found {to!r}")

    async def work(session: Session) -> int:
        found: list[Rerun] = []
        with progress("replaying", len(numbers)) as tell:
            for done, number in enumerate(numbers, start=1):
                one = await rerun(
                    number,
                    broker=session.broker,
                    settings=settings,
                    interval_ms=None if interval is None else round(interval * 1000),
                    from_at=from_at,
                    to_at=to_at,
                    changes=changes,
                )
                found.append(one)
                tell(done)
        return _report(found, changes, json=json)

    return run(work, nats=nats)


def _partitions(given: list[int] | None) -> list[int]:
    for number in given or ():
        if not 0 <= number < PARTITIONS:
            raise ConfigError(f"--partition: 0 to {PARTITIONS - 1}, found {number}")
    return sorted(set(given)) if given else list(range(PARTITIONS))


def _report(found: list[Rerun], changes: list[Change], *, json: bool) -> int:
    differences = [one.difference for one in found if one.difference is not None]
    rounds = sum(one.rounds for one in found)
    if json:
        as_json(
            {
                "rounds": rounds,
                "is_equal": not differences,
                "changes": [change.text for change in changes],
                "partitions": [one for one in found if one.begins != "nothing"],
            }
        )
    else:
        _say(found, rounds, differences)
    if not rounds and not json:
        complain("engine replay: nothing was recorded that could be decided again")
    return DIFFERS if differences or not rounds else DONE


def _say(found: list[Rerun], rounds: int, differences: list[Difference]) -> None:
    for one in found:
        if one.reason:
            since = "and no snapshot is kept" if one.from_at is None else "from the newest snapshot"
            complain(f"partition {one.partition}: {since}: {one.reason}")
    for difference in differences:
        say(_line(difference))
    spans = [(one.from_at, one.to_at) for one in found if one.from_at and one.to_at]
    if spans:
        begins, ends = min(span[0] for span in spans), max(span[1] for span in spans)
        differ = f"{len(differences)} of them not as recorded"
        verdict = differ if differences else "equal to the bit"
        say(f"rounds {rounds:,}, partitions {len(spans)}, {utc(begins)} to {utc(ends)}: {verdict}")
    comparisons = [one.comparison for one in found if one.comparison is not None]
    if comparisons:
        _say_what_if(comparisons)


def _line(difference: Difference) -> str:
    who = f" {difference.campaign}" if difference.campaign else ""
    return (
        f"partition {difference.partition} sequence {difference.sequence} round {difference.round} "
        f"({utc(difference.at)}){who}: {difference.field}: recorded {difference.wanted}, "
        f"found {difference.found}"
    )


def _say_what_if(comparisons: list[Comparison]) -> None:
    decisions = sum(one.decisions for one in comparisons)
    changed = sum(one.changed for one in comparisons)
    share = f" ({changed / decisions:.1%})" if decisions else ""
    say(f"what-if: {changed:,} of {decisions:,} decisions otherwise{share}, over the same samples")
    campaigns = [campaign for one in comparisons for campaign in one.campaigns]
    campaigns.sort(key=lambda one: (-one.changed, one.campaign))
    for campaign in campaigns[:MOST_SHOWN]:
        say(_what_if_line(campaign))
    if len(campaigns) > MOST_SHOWN:
        say(f"… and {len(campaigns) - MOST_SHOWN:,} more, with --json")


def _what_if_line(one: CampaignComparison) -> str:
    return (
        f"  {one.campaign}  {one.changed:,} of {one.rounds:,} otherwise  "
        f"mean bid {_bid(one.bid_micros)} → {_bid(one.bid_micros_then)}  "
        f"no bid {one.no_bids:,} → {one.no_bids_then:,}  "
        f"reserved {_bid(one.reserved_micros)} → {_bid(one.reserved_micros_then)}"
    )


def _bid(micros: float | None) -> str:
    return "-" if micros is None else f"{micros / MICROS:.4f}"
