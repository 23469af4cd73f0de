"""`engine metrics`: samples from files into the stream of metrics."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.feed import Feed
from engine.campaigns.files.rows import Problem
from engine.campaigns.samples import FoundSample, read_samples
from engine.cli.output import MOST_SHOWN, as_json, complain, progress, rejects, say, show_problems
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.campaign import Definition

__all__ = ["command"]

DONE, IN_PART, NOTHING_READ = 0, 1, 2


def command(
    *files: Path,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    rejects_to: Annotated[Path | None, Parameter(name="--rejects")] = None,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Publish samples of metrics from files: CSV, JSON Lines, JSON or YAML.

    A sample is a platform's report for one campaign and stretch of time: campaign, platform, at
    (the end of the stretch; ISO 8601 or epoch seconds), clicks, spend (decimals, in the
    campaign's currency), impressions, conversions. Counts and spend of the stretch, never rates.
    A second sample with the same campaign, platform and time replaces the first while that is in
    the window (the newest 64 of the series); an older one is added, so send no long file twice.

    Parameters
    ----------
    files
        Files of samples.
    dry_run
        Read and check only; publish nothing.
    rejects_to
        Write every problem to this file, one JSON object a line.
    """
    if not files:
        complain("engine metrics: at least one file, found none (engine metrics --help)")
        return NOTHING_READ

    async def work(session: Session) -> int:
        with rejects(rejects_to) as reject:
            tally = _Tally(keep_all=json, reject=reject)
            await _publish(session, files, tally, dry_run=dry_run)
        return _report(tally, dry_run=dry_run, kept_in=rejects_to, json=json)

    return run(work, nats=nats, writes=not dry_run)


class _Tally:
    """What became of the rows: counts, and as many problems as will be shown."""

    def __init__(self, *, keep_all: bool, reject: Callable[[Problem], None]) -> None:
        self._keep_all = keep_all
        self._reject = reject
        self.samples = 0
        self.frames = 0
        self.refused = 0
        self.problems: list[Problem] = []
        self.problem_count = 0

    def refuse(self, problems: list[Problem]) -> None:
        self.refused += any(problem.line is not None for problem in problems)
        self.problem_count += len(problems)
        for problem in problems:
            self._reject(problem)
            if self._keep_all or len(self.problems) < MOST_SHOWN:
                self.problems.append(problem)


async def _publish(
    session: Session, files: tuple[Path, ...], tally: _Tally, *, dry_run: bool
) -> None:
    campaigns: dict[str, Definition] = {}
    async for stored in session.repository.all():
        campaigns[stored.campaign.definition.id] = stored.campaign.definition
    feed = Feed(frames=session.broker.frames, producer=session.producer)
    with progress("samples", None) as tell:
        async with feed:
            for row in read_samples(files, campaigns, now=session.clock.now()):
                if not isinstance(row, FoundSample):
                    tally.refuse(row)
                    continue
                tally.samples += 1
                if not dry_run:
                    await feed.add(row.sample, currency=row.currency)
                if tally.samples % 1_000 == 0:
                    tell(tally.samples)
    tally.frames = feed.sent


def _report(tally: _Tally, *, dry_run: bool, kept_in: Path | None, json: bool) -> int:
    if json:
        as_json(
            {
                "dry_run": dry_run,
                "samples": tally.samples,
                "frames": tally.frames,
                "refused": tally.refused,
                "problems": tally.problems,
            }
        )
    else:
        show_problems(tally.problems, tally.problem_count, kept_in)
        verb = "would publish" if dry_run else "published"
        frames = "" if dry_run else f" in {tally.frames:,} frames"
        say(f"{verb} {tally.samples:,} samples{frames}; {tally.refused:,} refused")
    if not tally.samples and not tally.refused:
        return NOTHING_READ
    return IN_PART if tally.problem_count else DONE
