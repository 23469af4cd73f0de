"""Campaigns by expression (`--where`), or by ids, with a hint where an id is a slip of the pen."""

import difflib
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from engine.cli.session import Session
from engine.domain.campaign import Campaign
from engine.domain.decision import Decision
from engine.domain.money import from_micros
from engine.metrics.board import Board
from engine.reports.facts import DECIDED, PLATFORMS, Row, choose, parse
from engine.reports.where import Where

__all__ = ["Choice", "Match", "WhereText", "choice_of", "chosen_from", "near_id", "sample_line"]

WhereText = Annotated[
    str | None,
    Parameter(
        name="--where",
        help="Campaigns that an expression fits: 'platform=meta and roi<0' (docs/steering.md).",
    ),
]


class Match(NamedTuple):
    """A campaign that fits, and by which of its platforms."""

    campaign: Campaign
    decision: Decision | None
    ledger: tuple[int, int] | None
    platforms: tuple[str, ...]


class Choice(NamedTuple):
    """What an expression chose, by id."""

    matches: dict[str, Match]
    unknown: int  # campaigns that could not be judged: something about them is not known
    total: int


async def choice_of(session: Session, text: str) -> Choice:
    """Return the campaigns that an expression fits now. Raises WhereError, BrokerError."""
    where = parse(text)
    board = Board(broker=session.broker, clock=session.clock)
    await board.read(decisions=bool(where.fields & DECIDED))
    return chosen_from(board, where, session.clock.now())


def chosen_from(board: Board, where: Where[Row], now: float) -> Choice:
    """Return the campaigns of a board that an expression fits. Raises WhereError."""
    used = {name for one in board.campaigns.values() for name in one.definition.platforms}
    where.check(PLATFORMS, sorted(used))
    matches, unknown = {}, 0
    for name in sorted(board.campaigns):
        campaign, ledger = board.campaigns[name], board.ledger(name)
        decision = board.decision(name)
        found = choose(where, campaign, decision, ledger, now)
        if found.fits:
            matches[name] = Match(campaign, decision, ledger, found.platforms)
        elif found.fits is None:
            unknown += 1
    return Choice(matches, unknown, len(board.campaigns))


def sample_line(match: Match) -> str:
    """Return what a person looks at before saying yes: spend, and the platforms that fit."""
    definition = match.campaign.definition
    spent = "-" if match.ledger is None else from_micros(match.ledger[0])
    budget = f"{from_micros(definition.budget_micros)} {definition.currency}"
    bids = {} if match.decision is None else {one.platform: one for one in match.decision.platforms}
    parts = []
    for platform in match.platforms:
        bid = bids.get(platform)
        roi = "-" if bid is None or bid.roi_micros is None else f"{bid.roi_micros / 1e6:+.2f}"
        price = from_micros(bid.bid_micros) if bid is not None and bid.bid_micros else "-"
        parts.append(f"{platform} bid {price} roi {roi}")
    others = len(definition.platforms) - len(match.platforms)
    more = f" (and {others} other platforms)" if others else ""
    return (
        f"{definition.id}  {match.campaign.state.value}  spent {spent} of {budget}  "
        f"{', '.join(parts)}{more}"
    )


def near_id(wanted: str, known: Iterable[str]) -> str:
    """Return a hint to the id nearest to one that nobody has; "" where none is near."""
    near = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else ""
