"""`engine list` and `engine show`: campaigns as the table holds them."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.campaigns.decided import Ledger, newest_of
from engine.campaigns.repository import Stored
from engine.cli.arguments import Whole
from engine.cli.choosing import WhereText, choice_of, near_id
from engine.cli.decisions import decision_json, decision_line
from engine.cli.output import as_json, complain, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.campaign import Definition
from engine.domain.decision import Decision, PlatformDecision
from engine.domain.ids import is_campaign_id
from engine.domain.lifecycle import LEGAL, State
from engine.domain.money import MICROS, from_micros
from engine.domain.reasons import condition_words, sentence
from engine.reports.facts import parse

__all__ = ["forecast_words", "list_command", "show_command"]

DONE, FAILED, NOT_UNDERSTOOD = 0, 1, 2


def list_command(
    *,
    state: State | None = None,
    platform: str | None = None,
    where: WhereText = None,
    limit: Annotated[Whole | None, Parameter(name=["--limit", "-n"])] = None,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """List campaigns, by id.

    Parameters
    ----------
    state
        Only those in this state.
    platform
        Only those on this platform.
    limit
        How many to print: 50 where not given, all with --json.
    """
    if limit is not None and limit < 1:
        complain(f"engine list: --limit of 1 or more, found {limit}")
        return NOT_UNDERSTOOD

    if where is not None:
        parse(where)  # before there is a connection
    rows: list[Stored] = []

    async def work(session: Session) -> int:
        chosen = None if where is None else await choice_of(session, where)
        async for stored in session.repository.all():
            campaign = stored.campaign
            is_there = platform is None or platform in campaign.definition.platforms
            is_chosen = chosen is None or campaign.definition.id in chosen.matches
            if state in (None, campaign.state) and is_there and is_chosen:
                rows.append(stored)
        if chosen is not None and chosen.unknown and not json:
            complain(f"{chosen.unknown:,} not listed, as what is asked is not known of them")
        return DONE

    code = run(work, nats=nats)  # a long table is printed without keeping the broker waiting
    rows.sort(key=lambda stored: stored.campaign.definition.id)
    if json:
        as_json([_json(stored) for stored in rows[:limit]])
    else:
        _table(rows, limit or 50)
    return code


def show_command(id: str, /, *, json: AsJson = False, nats: Nats = None) -> int:  # noqa: A002
    """Show a campaign: what was asked for, its state, and the newest decision for it.

    Parameters
    ----------
    id
        Id of the campaign.
    """
    if not is_campaign_id(id):
        complain(f"engine show: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {id!r}")
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        stored = await session.repository.get(id)
        if stored is None:
            names = [one.campaign.definition.id async for one in session.repository.all()]
            hint = near_id(id, names) or " (engine list)"
            complain(f"{id}: wanted a published campaign, found nothing{hint}")
            return FAILED
        decisions, ledger, _ = await newest_of(session.broker.chain, id, limit=1)
        newest = decisions[-1] if decisions else None
        if json:
            decision = None if newest is None else decision_json(newest)
            as_json(_json(stored) | {"ledger": ledger, "decision": decision})
        else:
            for line in _lines(stored, ledger, newest):
                say(line)
        return DONE

    return run(work, nats=nats)


def _json(stored: Stored) -> dict[str, object]:
    """Return a campaign as it is stored: money in micros, times in epoch seconds."""
    fields: dict[str, object] = msgspec.to_builtins(stored.campaign)
    return fields | {"revision": stored.revision}


_HEADER = ("campaign", "state", "budget", "strategy", "flight", "platforms")
_MOST_DRAWN = 500  # rich takes milliseconds a row


def _table(rows: list[Stored], limit: int) -> None:
    cells = [_cells(stored) for stored in rows[:limit]]
    if not cells:
        complain("no campaigns")
    elif sys.stdout.isatty() and len(cells) <= _MOST_DRAWN:
        _draw(cells)
    else:
        _align([_HEADER, *cells])
    if len(rows) > limit:
        complain(f"{limit:,} of {len(rows):,} campaigns; --limit N shows more, --json all")


def _cells(stored: Stored) -> tuple[str, ...]:
    definition = stored.campaign.definition
    return (
        definition.id,
        stored.campaign.state.value,
        f"{from_micros(definition.budget_micros)} {definition.currency}",
        definition.strategy.value,
        _flight(definition),
        ", ".join(definition.platforms),
    )


def _draw(rows: list[tuple[str, ...]]) -> None:
    """Print a table for a terminal, folded to its width."""
    # rich takes a while to import, which pipes and --json need not wait for.
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEADER:
        table.add_column(name, justify="right" if name == "budget" else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def _align(rows: list[tuple[str, ...]]) -> None:
    """Print a table for a pipe: a line a row, for grep and cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(line.rstrip())


def _lines(stored: Stored, ledger: Ledger | None, newest: Decision | None) -> list[str]:
    campaign, definition = stored.campaign, stored.campaign.definition
    ways = ", ".join(sorted(state.value for state in LEGAL[campaign.state])) or "none: it is final"
    rails = definition.guardrails
    lines = {
        "campaign": f"{definition.id}  {definition.name}".rstrip(),
        "state": f"{campaign.state.value} since {utc(campaign.changed_at)}, "
        f"by {campaign.changed_by or 'unknown'}{f': {campaign.note}' if campaign.note else ''}",
        "may become": ways,
        "budget": f"{_money(definition, definition.budget_micros)}",
        "spent": _spent(definition, ledger),
        "flight": f"{_flight(definition)} ({definition.timezone})",
        "strategy": definition.strategy.value,
        "conversion value": _money(definition, definition.conversion_value_micros),
        "target cpa": _money(definition, definition.target_cpa_micros),
        "target roas": _plain(definition.target_roas),
        "target reach": _plain(definition.target_reach),
        "bids": f"{from_micros(rails.min_bid_micros)} to {from_micros(rails.max_bid_micros)}, "
        f"by at most {rails.max_change:.0%} a round",
        "daily cap": _money(definition, rails.daily_cap_micros),
        "account": definition.account or "",
        "least spend": _money(definition, definition.min_spend_micros),
        "bid changes": _changes(definition),
        "blocked": ", ".join((*rails.blocked_platforms, *rails.blocked_hours)),
        "platforms": ", ".join(_platform(name, definition) for name in definition.platforms),
        "labels": ", ".join(f"{name}={text}" for name, text in definition.labels.items()),
        "revision": f"{stored.revision}",
    }
    width = max(map(len, lines))
    shown = [f"{name:<{width}}  {text}" for name, text in lines.items() if text]
    decision = "none yet" if newest is None else decision_line(newest)
    why = [] if newest is None else [f"{'why':<{width}}  {sentence(newest, definition)}"]
    forecasts = () if newest is None else newest.platforms
    said = [f"{f'on {one.platform}':<{width}}  {forecast_words(one)}" for one in forecasts]
    return [*shown, *said, f"{'newest decision':<{width}}  {decision}", *why]


def forecast_words(one: PlatformDecision) -> str:
    """Return what a decision went by on one platform; money in units."""
    figures = {
        "CPC": None if one.cpc_micros is None else f"{one.cpc_micros / MICROS:.4f}",
        "CVR": None if one.cvr is None else f"{one.cvr:.2%}",
        "ROI a click": None if one.roi_micros is None else f"{one.roi_micros / MICROS:+.4f}",
        "confidence": f"{one.confidence:.2f}",
    }
    known = [f"{name} {figure}" for name, figure in figures.items() if figure is not None]
    words = condition_words(one)
    return ", ".join([*known, words] if words else known)


def _changes(definition: Definition) -> str:
    """Return the guardrails on changes of a bid that are not at their usual values."""
    rails = definition.guardrails
    parts = []
    if rails.max_daily_change is not None:
        parts.append(f"by at most {rails.max_daily_change:.0%} a day")
    if rails.hold_seconds:
        parts.append(f"not within {rails.hold_seconds:g} s of the last")
    if rails.min_confidence:
        parts.append(f"not up below a confidence of {rails.min_confidence:g}")
    return ", ".join(parts)


def _spent(definition: Definition, ledger: Ledger | None) -> str:
    if ledger is None:
        return "nothing known yet"
    settled = from_micros(ledger.settled_micros)
    share = ledger.settled_micros / definition.budget_micros
    return f"{settled} ({share:.1%}) + {from_micros(ledger.reserved_micros)} reserved"


def _platform(name: str, definition: Definition) -> str:
    bounds = definition.platforms[name]
    given = {
        "min_bid": bounds.min_bid_micros,
        "max_bid": bounds.max_bid_micros,
        "daily_cap": bounds.daily_cap_micros,
    }
    own = " ".join(f"{key} {from_micros(micros)}" for key, micros in given.items() if micros)
    return f"{name} ({own})" if own else name


def _flight(definition: Definition) -> str:
    return f"{utc(definition.flight.starts_at)} to {utc(definition.flight.ends_at)}"


def _money(definition: Definition, micros: int | None) -> str:
    return "" if micros is None else f"{from_micros(micros)} {definition.currency}"


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number}"
