"""`engine rollback`: set levers on ad platforms back, and keep them there for a while."""

import re
import sys
import uuid
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from engine.cli.changes import entries_of, shown
from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.ids import is_campaign_id
from engine.errors import ConflictError
from engine.messaging.changes import Order, Setting, encode_journal
from engine.messaging.permissions import Role
from engine.messaging.subjects import orders_subject
from engine.reports.changelog import Undo, undo

__all__ = ["command"]

DONE, FAILED, NOT_UNDERSTOOD = 0, 1, 2
ATTEMPTS = 3
MOST_SHOWN = 20

Note = Annotated[str, Parameter(help="Why, for people.")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative="")]
Release = Annotated[bool, Parameter(name="--release", negative="")]


def command(
    *,
    to: str | None = None,
    change: str | None = None,
    campaign: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    hold: Annotated[float, Parameter(name="--hold")] = 24.0,
    release: Release = False,
    note: Note = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Set back what gateways have changed, by the journal, and hold it there.

    Gateways apply it before anything else. Until the hold is over they leave these levers alone,
    but for stops: pause the campaign where the engine must not decide for it at all.

    Parameters
    ----------
    to
        Undo everything applied behind this time: ISO 8601 (UTC where it names no zone), or 90m, 2h
        or 1d for so long ago.
    change
        Undo this change (its id is in `engine changes`), and what was built on it.
    campaign
        Only levers of this campaign; may be given more than once.
    hold
        Hours for which the levers stay; 24 where not given.
    release
        End the hold of earlier roll-backs: the engine steers all levers again.
    yes
        Do not ask.
    dry_run
        Say what would be done, and do nothing.
    json
        Print JSON.
    """
    problem = _problem(to, change, campaign, hold, release=release)
    if problem:
        complain(f"engine rollback: {problem}")
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        now = session.clock.now()
        entries = await entries_of(session.broker.journal)
        if release:
            accounts = sorted({(one.platform, one.ad_account) for one in entries})
            return await _order(session, {key: [] for key in accounts}, hold, note)
        at = None if to is None else _time(to, now)
        undone, lost = undo(entries, to=at, change=change, campaigns=frozenset(campaign))
        for one in lost:
            complain(f"{one.entity}: {one.lever}: nobody knew what was in force before {one.id}")
        if not undone:
            complain("nothing to set back")
            return FAILED if lost or change is not None else DONE
        _show(undone, json=json)
        if dry_run:
            return DONE
        if not yes and not _agreed(f"Set {len(undone)} levers back?"):
            return FAILED
        settings: dict[tuple[str, str], list[Undo]] = {}
        for back in undone:
            settings.setdefault((back.platform, back.ad_account), []).append(back)
        return await _order(session, settings, hold, note)

    if not (yes or dry_run or release) and not sys.stdin.isatty():
        complain("engine rollback: without a terminal to ask on, add --yes (or --dry-run)")
        return NOT_UNDERSTOOD
    return run(work, nats=nats, role=Role.PUBLISHER)


async def _order(
    session: Session, settings: dict[tuple[str, str], list[Undo]], hold: float, note: str
) -> int:
    now, journal = session.clock.now(), session.broker.journal
    for (platform, ad_account), levers in settings.items():
        order = Order(
            id=f"rollback-{uuid.uuid4().hex[:12]}",
            platform=platform,
            ad_account=ad_account,
            at_ms=round(now * 1000),
            until_ms=round((now + hold * 3600) * 1000),
            by=session.author,
            note=note,
            settings=[
                Setting(campaign=o.campaign, entity=o.entity, lever=o.lever, value=o.value)
                for o in levers
            ],
        )
        subject = orders_subject(platform, ad_account)
        for attempt in range(ATTEMPTS):
            head = await journal.head(subject)
            try:
                expected = 0 if head is None else head.sequence
                await journal.append(subject, encode_journal(order), expected=expected)
                break
            except ConflictError:
                if attempt + 1 == ATTEMPTS:
                    raise
        verb = "ordered" if levers else "released"
        complain(f"{platform}/{ad_account}: {verb} ({order.id})")
    return DONE


def _show(undone: list[Undo], *, json: bool) -> None:
    if json:
        as_json(undone)
        return
    for one in undone[:MOST_SHOWN]:
        move = f"{shown(one.lever, one.now)} → {shown(one.lever, one.value)}"
        say(f"{one.platform}/{one.ad_account}  {one.campaign}  {one.entity}  {one.lever} {move}")
    if len(undone) > MOST_SHOWN:
        say(f"… and {len(undone) - MOST_SHOWN:,} more (all with --json)")


def _agreed(question: str) -> bool:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    complain("nothing was set back")
    return False


def _problem(
    to: str | None, change: str | None, campaigns: tuple[str, ...], hold: float, *, release: bool
) -> str:
    given = sum((to is not None, change is not None, release))
    if given != 1:
        found = f"{given} of them" if given else "none"
        return f"one of --to TIME, --change ID and --release, found {found}"
    for name in campaigns:
        if not is_campaign_id(name):
            return f"an id of 1 to 64 of A-Z a-z 0-9 _ -, found {name!r}"
    if not 0 < hold <= 24 * 90:
        return f"--hold of more than 0 and up to 2160 hours, found {hold:g}"
    if to is not None:
        try:
            _time(to, 0.0)
        except ValueError:
            return f"--to: a time such as 2026-12-01T09:00Z or 2h, found {to!r}"
    return ""


def _time(text: str, now: float) -> float:
    """Return a time as epoch seconds. Raises ValueError."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    if text[-1:] in units and re.fullmatch(r"\d+(\.\d+)?", text[:-1]):
        return now - float(text[:-1]) * units[text[-1]]
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
