"""`engine publish`: campaigns from files into the broker's table."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.files.reader import Reading, read_definitions
from engine.campaigns.publisher import Published, Publisher
from engine.cli.output import as_json, complain, progress, rejects, say, show_problems
from engine.cli.session import AsJson, Nats, Session, run
from engine.clock import SystemClock

__all__ = ["command"]

DONE, IN_PART, NOTHING_READ = 0, 1, 2


def command(
    *files: Path,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    draft: Annotated[bool, Parameter(negative="")] = False,
    rejects_to: Annotated[Path | None, Parameter(name="--rejects")] = None,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Publish campaigns from files: YAML, JSON, JSON Lines or CSV, told by the file's ending.

    New campaigns are created, known ones updated where something changed; publishing a file twice
    changes nothing. Rows that are wrong are listed with file, line and field; the good ones are
    published. Amounts are decimals (12.50); times are ISO 8601, local to the campaign's timezone
    where they name none, or "now" and "+2h".

    A campaign: id, budget, currency, timezone, flight (starts_at, ends_at), strategy,
    conversion_value or target_cpa, target_roas, target_reach, platforms (a list, or a mapping to
    min_bid, max_bid, daily_cap), guardrails (min_bid, max_bid, max_change, daily_cap), labels.
    In CSV: columns such as flight.starts_at, guardrails.max_bid, labels.team; platforms as
    "google|meta", bounds as platforms.google.max_bid.

    Parameters
    ----------
    files
        Files of campaigns.
    dry_run
        Say what would be done, and change nothing.
    draft
        Leave new campaigns as drafts; `engine resume` starts them.
    rejects_to
        Write every problem to this file, one JSON object a line.
    """
    if not files:
        complain("engine publish: at least one file, found none (engine publish --help)")
        return NOTHING_READ
    with rejects(rejects_to) as reject:
        with progress("reading", None) as tell:
            reading = read_definitions(files, now=SystemClock().now(), progress=tell)
        for problem in reading.problems:
            reject(problem)
        if not reading.found:  # nothing to publish: no need of a broker to say so
            return _report(reading, Published(), dry_run=dry_run, kept_in=rejects_to, json=json)

        async def work(session: Session) -> int:
            publisher = Publisher(repository=session.repository, clock=session.clock)
            with progress("publishing", len(reading.found)) as tell:
                published = await publisher.publish(
                    reading.found, as_draft=draft, dry_run=dry_run, progress=tell
                )
            for problem in published.problems:
                reject(problem)
            return _report(reading, published, dry_run=dry_run, kept_in=rejects_to, json=json)

        return run(work, nats=nats)


def _report(
    reading: Reading, published: Published, *, dry_run: bool, kept_in: Path | None, json: bool
) -> int:
    problems = reading.problems + published.problems
    refused = reading.refused + len(published.problems)
    good = published.created + published.updated + published.unchanged
    if json:
        as_json(
            {
                "dry_run": dry_run,
                "published": good,
                "created": published.created,
                "updated": published.updated,
                "unchanged": published.unchanged,
                "refused": refused,
                "problems": problems,
            }
        )
    else:
        show_problems(problems, len(problems), kept_in)
        verb = "would publish" if dry_run else "published"
        say(
            f"{verb} {good:,}: {published.created:,} created, {published.updated:,} updated, "
            f"{published.unchanged:,} unchanged; {refused:,} refused"
        )
    if not reading.rows:
        return NOTHING_READ
    return IN_PART if problems else DONE
