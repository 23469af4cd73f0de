"""`engine pause`, `resume` and `stop`: campaigns through their life, by legal ways only."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.campaigns.files.rows import shown
from engine.cli.asking import agreed
from engine.cli.choosing import Choice, Match, choice_of, near_id, sample_line
from engine.cli.moving import move_all
from engine.cli.orders import DONE, Order, wanted
from engine.cli.output import as_json, complain, progress, say
from engine.cli.session import Session, run
from engine.domain.ids import is_campaign_id
from engine.domain.lifecycle import LEGAL
from engine.errors import ConflictError, DefinitionError, TransitionError
from engine.messaging.permissions import Role
from engine.reports.facts import parse

__all__ = ["pause_command", "resume_command", "stop_command"]

FINE, FAILED, NOT_UNDERSTOOD = 0, 1, 2
SAMPLE = 10  # campaigns shown before the question
DRIFT = 0.1  # of the campaigns chosen: by more the choice is not the one that was agreed to
_PLAIN = Order()


def pause_command(*ids: str, order: Order = _PLAIN) -> int:
    """Pause campaigns: no new bids until they are resumed.

    Those named, or those that an expression fits: these are counted and shown first.

    Parameters
    ----------
    ids
        Ids of campaigns.
    """
    return _move("pause", ids, order)


def resume_command(*ids: str, order: Order = _PLAIN) -> int:
    """Let paused, exhausted or draft campaigns run: at once in their flight, scheduled before it.

    Those named, or those that an expression fits: these are counted and shown first.

    Parameters
    ----------
    ids
        Ids of campaigns.
    """
    return _move("resume", ids, order)


def stop_command(*ids: str, order: Order = _PLAIN) -> int:
    """End campaigns, for good: a stopped campaign never bids again.

    Those named, or those that an expression fits: these are counted and shown first.

    Parameters
    ----------
    ids
        Ids of campaigns.
    """
    if ids and order.where is None and not order.yes and not order.dry_run:
        question = f"Stop {', '.join(ids)} for good?"
        refused = agreed(question, command="stop", nothing="nothing was stopped")
        if refused is not None:
            return refused
    return _move("stop", ids, order)


def _move(verb: str, ids: Sequence[str], order: Order) -> int:
    if order.expect is not None and order.expect < 0:
        complain(f"engine {verb}: --expect of 0 or more, found {order.expect}")
        return NOT_UNDERSTOOD
    if order.where is not None:
        parse(order.where)  # before there is a connection
        if ids:
            complain(f"engine {verb}: ids or --where, found both")
            return NOT_UNDERSTOOD
        return _move_chosen(verb, order, order.where)
    if order.expect is not None:
        complain(f"engine {verb}: --expect goes with --where, found ids")
        return NOT_UNDERSTOOD
    if not ids:
        complain(f"engine {verb}: at least one campaign id or --where, found none")
        return NOT_UNDERSTOOD
    for campaign in ids:
        if not is_campaign_id(campaign):
            complain(f"engine {verb}: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {campaign!r}")
            return NOT_UNDERSTOOD
    return _move_named(verb, ids, order)


# by name


def _move_named(verb: str, ids: Sequence[str], order: Order) -> int:
    async def work(session: Session) -> int:
        rows = [await _move_one(session, one, verb, order) for one in dict.fromkeys(ids)]
        _report(rows, order)
        return FAILED if any("error" in row for row in rows) else FINE

    return run(work, nats=order.nats, role=Role.PUBLISHER, writes=not order.dry_run)


async def _move_one(session: Session, campaign: str, verb: str, order: Order) -> dict[str, str]:
    """Move one campaign; one that cannot be moved does not keep the others from it."""
    try:
        before, after = await session.repository.move(
            campaign,
            lambda one: wanted(verb, one, session.clock.now()),
            note=order.note,
            dry_run=order.dry_run,
        )
    except DefinitionError as error:
        line = f"{campaign}: wanted {error.wanted}, found {shown(error.found)}"
        if error.field == "campaign":
            everybody = session.repository.all()
            line += near_id(campaign, [one.campaign.definition.id async for one in everybody])
        return {"campaign": campaign, "error": line}
    except (TransitionError, ConflictError) as error:
        return {"campaign": campaign, "error": str(error)}
    return {"campaign": campaign, "was": before.value, "state": after.value}


def _report(rows: Sequence[dict[str, str]], order: Order) -> None:
    if order.json:
        as_json(rows)
        return
    for row in rows:
        if "error" in row:
            complain(row["error"])
        else:
            would = "would be " if order.dry_run else ""
            say(f"{row['campaign']}: {row['was']} → {would}{row['state']}")


# by expression


class _Movable(NamedTuple):
    """What of a choice can be moved, and why not the rest."""

    matches: dict[str, Match]
    already: int  # where they are wanted
    final: int  # or otherwise not to be moved from where they are

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.matches)


def _movable(choice: Choice, verb: str, now: float) -> _Movable:
    matches, already, final = {}, 0, 0
    for name, match in choice.matches.items():
        try:
            aim = wanted(verb, match.campaign, now)
        except DefinitionError:
            final += 1
            continue
        if aim is match.campaign.state:
            already += 1
        elif aim in LEGAL[match.campaign.state]:
            matches[name] = match
        else:
            final += 1
    return _Movable(matches, already, final)


def _move_chosen(verb: str, order: Order, where: str) -> int:
    choice, movable = _choose(verb, order, where)
    if not order.json:
        _show(verb, choice, movable, order)
    if order.expect is not None and len(movable.matches) != order.expect:
        complain(
            f"engine {verb}: {order.expect:,} campaigns as expected, "
            f"found {len(movable.matches):,}: nothing was {DONE[verb]}"
        )
        return FAILED
    if order.dry_run or not movable.matches:
        if order.json:
            as_json(list(_rows(movable, verb)))
        return FINE
    agreed_to = movable.ids
    if not order.yes:
        final = " for good" if verb == "stop" else ""
        question = f"{verb.capitalize()} {_campaigns(len(agreed_to))}{final}?"
        refused = agreed(question, command=verb, nothing=f"nothing was {DONE[verb]}")
        if refused is not None:
            return refused
        _, movable = _choose(verb, order, where)  # some time has passed
        if _has_drifted(agreed_to, movable.ids):
            complain(
                f"the choice has changed meanwhile, from {_campaigns(len(agreed_to))} to "
                f"{len(movable.ids):,}: nothing was {DONE[verb]}; say it again"
            )
            return FAILED
    return _carry_out(verb, order, sorted(agreed_to & movable.ids))


def _choose(verb: str, order: Order, where: str) -> tuple[Choice, _Movable]:
    found: list[tuple[Choice, _Movable]] = []

    async def work(session: Session) -> int:
        choice = await choice_of(session, where)
        found.append((choice, _movable(choice, verb, session.clock.now())))
        return FINE

    run(work, nats=order.nats, writes=not order.dry_run)
    return found[0]


def _has_drifted(agreed_to: frozenset[str], now: frozenset[str]) -> bool:
    """Return whether a choice is another: a campaign or a tenth may come or go by itself."""
    return len(agreed_to ^ now) > max(1, DRIFT * len(agreed_to))


def _show(verb: str, choice: Choice, movable: _Movable, order: Order) -> None:
    found = len(movable.matches)
    would = "would be" if order.dry_run else "can be"
    parts = [f"{_campaigns(len(choice.matches))} of {choice.total:,} fit, {found:,} {would} "
             f"{DONE[verb]}"]  # fmt: skip
    if movable.already:
        parts.append(f"{movable.already:,} {'is' if movable.already == 1 else 'are'} already")
    if movable.final:
        parts.append(f"{movable.final:,} cannot be, from where in life they are")
    if choice.unknown:
        parts.append(f"{choice.unknown:,} not chosen, as what is asked is not known of them")
    complain("; ".join(parts))
    shown_first = list(movable.matches.values())[:SAMPLE]
    for match in shown_first:
        complain(f"  {sample_line(match)}")
    if found > len(shown_first):
        complain(f"  … and {found - len(shown_first):,} more (--dry-run --json has all)")
    others = sum(len(one.platforms) < len(one.campaign.definition.platforms)
                 for one in movable.matches.values())  # fmt: skip
    if others:
        complain(f"a campaign is {DONE[verb]} on all its platforms: {others:,} are on others too")


def _carry_out(verb: str, order: Order, ids: Sequence[str]) -> int:
    rows: list[dict[str, str]] = []

    async def work(session: Session) -> int:
        with progress(verb, len(ids)) as tell:

            def done(row: dict[str, str]) -> None:
                rows.append(row)
                tell(len(rows))

            await move_all(ids, lambda one: _move_one(session, one, verb, order), done)
        return FINE

    try:
        run(work, nats=order.nats, role=Role.PUBLISHER)
    finally:
        moved = sum("error" not in row for row in rows)
        if not order.json:
            for row in rows:
                if "error" in row:
                    complain(row["error"])
            say(f"{moved:,} of {_campaigns(len(ids))} {DONE[verb]}")
    if order.json:
        as_json(sorted(rows, key=lambda row: row["campaign"]))
    return FINE if moved == len(ids) else FAILED


def _rows(movable: _Movable, verb: str) -> Iterator[dict[str, object]]:
    for name, match in movable.matches.items():
        yield {
            "campaign": name,
            "was": match.campaign.state.value,
            "platforms": match.platforms,
            "action": verb,
        }


def _campaigns(count: int) -> str:
    return f"{count:,} campaign{'' if count == 1 else 's'}"
