"""`engine publish`: campaigns from files into the broker's table."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.accounts import Dealer
from engine.campaigns.files.reader import Reading, read_accounts, read_definitions
from engine.campaigns.publisher import Published, Publisher
from engine.cli.output import as_json, complain, progress, rejects, say, show_problems
from engine.cli.session import AsJson, Nats, Session, run
from engine.clock import SystemClock
from engine.messaging.permissions import Role

__all__ = ["command"]

DONE, IN_PART, NOTHING_READ = 0, 1, 2
MOST_WARNINGS = 20


def command(
    *files: Path,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    draft: Annotated[bool, Parameter(negative="")] = False,
    rejects_to: Annotated[Path | None, Parameter(name="--rejects")] = None,
    accounts: Annotated[list[Path] | None, Parameter(name="--accounts")] = None,
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
    min_bid, max_bid, daily_cap), guardrails (min_bid, max_bid, max_change, daily_cap,
    max_daily_change, hold_seconds, min_confidence, blocked_platforms, blocked_hours), min_spend,
    account, labels. In CSV: columns such as flight.starts_at, guardrails.max_bid, labels.team;
    platforms as "google|meta", bounds as platforms.google.max_bid.

    An account: id, currency, timezone, daily_cap, total_cap. Its caps hold over all campaigns that
    name it. Accounts stand beside campaigns in YAML and JSON, under "accounts".

    Parameters
    ----------
    files
        Files of campaigns.
    dry_run
        Say what would be done, and change nothing.
    draft
        Leave new campaigns as drafts; `engine resume` starts them.
    accounts
        A file of accounts, in any of the formats; may be given several times.
    rejects_to
        Write every problem to this file, one JSON object a line.
    """
    if not files:
        complain("engine publish: at least one file, found none (engine publish --help)")
        return NOTHING_READ
    with rejects(rejects_to) as reject:
        with progress("reading", None) as tell:
            reading = read_definitions(files, now=SystemClock().now(), progress=tell)
        if accounts:
            found, problems = read_accounts(accounts)
            reading.accounts.extend(found)
            reading.problems.extend(problems)
        for problem in reading.problems:
            reject(problem)
        if not json:
            _warn(reading)
        if (
            not reading.found and not reading.accounts
        ):  # nothing to publish: no need of a broker to say so
            return _report(reading, Published(), dry_run=dry_run, kept_in=rejects_to, json=json)

        async def work(session: Session) -> int:
            publisher = Publisher(repository=session.repository, clock=session.clock)
            dealer = Dealer(
                repository=session.repository, chain=session.broker.chain, clock=session.clock
            )
            dealt, admitted, refused = await dealer.deal(
                reading.accounts, reading.found, dry_run=dry_run
            )
            for one in dealt:
                complain(str(one))
            with progress("publishing", len(admitted)) as tell:
                published = await publisher.publish(
                    admitted, as_draft=draft, dry_run=dry_run, progress=tell
                )
            published.problems = refused + published.problems
            for problem in published.problems:
                reject(problem)
            return _report(reading, published, dry_run=dry_run, kept_in=rejects_to, json=json)

        return run(work, nats=nats, role=Role.PUBLISHER, writes=not dry_run)


def _warn(reading: Reading) -> None:
    """Say what is published all the same, and might not do what is meant."""
    for problem in reading.warnings[:MOST_WARNINGS]:
        complain(f"warning: {problem}")
    if (more := len(reading.warnings) - MOST_WARNINGS) > 0:
        complain(f"{more:,} more warnings (--json has all)")


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
                "warnings": reading.warnings,
            }
        )
    else:
        show_problems(problems, len(problems), kept_in)
        verb = "would publish" if dry_run else "published"
        say(
            f"{verb} {good:,}: {published.created:,} created, {published.updated:,} updated, "
            f"{published.unchanged:,} unchanged; {refused:,} refused"
        )
    if not reading.rows and not reading.accounts:
        return NOTHING_READ
    return IN_PART if problems else DONE
