"""`engine explain`: why a campaign bids as it does, and what would have made it do otherwise."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.campaigns.decided import newest_of
from engine.cli.arguments import time_of
from engine.cli.choosing import near_id
from engine.cli.decisions import decision_json
from engine.cli.output import as_json, complain, say, utc
from engine.cli.sent import Sent, gate_lines, read_sent, sent_lines
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.decision import Action, Decision, PlatformDecision
from engine.domain.ids import is_campaign_id, partition_of
from engine.domain.money import MICROS
from engine.domain.prospect import Prospect, Rate
from engine.domain.reasons import condition_words, platform_sentence, sentence
from engine.errors import BrokerError
from engine.messaging.gateway_status import AccountStatus
from engine.messaging.records import Decide
from engine.metrics.board import Board
from engine.reports.facts import code_name
from engine.reports.plan import planned_micros
from engine.wiring import load
from engine.worker.counterfactual import Bench, Turn
from engine.worker.rerun import Rerun, probe_round
from engine.worker.settings import WorkerSettings
from engine.worker.state import State

__all__ = ["command"]

DONE, FAILED, NOT_UNDERSTOOD = 0, 1, 2
GATEWAYS_S = 1.1  # a gateway speaks once a second
MOST_TURNS = 8


class _Explained(msgspec.Struct, frozen=True):
    """What was found out."""

    bench: Bench
    rerun: Rerun
    record: Decide
    turns: list[Turn]
    prospects: dict[str, Prospect]
    gateways: list[tuple[str, AccountStatus]]
    sent: list[Sent] | None  # None: the journals could not be read, `sent_unread` says why
    sent_unread: str
    newest: Decision | None  # as recorded; a record holds a decision only where it changed


def command(
    campaign: str,
    /,
    *,
    at: Annotated[str | None, Parameter(name="--at")] = None,
    all: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - the flag's name
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Say why a campaign bids as it does: its inputs, forecasts, bounds, and what would change it.

    The round is decided again from the recorded inputs, and then again and again with one thing
    changed: "with target_cpa >= 14.20 it would bid on meta" is what this very round would have
    decided, not a guess.

    Parameters
    ----------
    campaign
        Id of the campaign.
    at
        Its decision in force at a time: ISO 8601 (UTC where it names no zone) or epoch seconds.
        The newest where not given.
    all
        Every change that would have turned the decision, not the eight nearest.
    """
    if not is_campaign_id(campaign):
        complain(f"engine explain: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {campaign!r}")
        return NOT_UNDERSTOOD
    settings = load(WorkerSettings)
    until = time_of("--at", at)

    async def work(session: Session) -> int:
        found = await _explained(session, campaign, settings, until)
        if found is None:
            return await _nothing(session, campaign, at)
        if json:
            as_json(_json(found))
        else:
            _tell(found, session.clock.now() if until is None else until, everything=all)
        return DONE

    return run(work, nats=nats)


async def _explained(
    session: Session, campaign: str, settings: WorkerSettings, at: float | None
) -> _Explained | None:
    benches: list[Bench] = []

    def probe(state: State, record: Decide) -> None:
        if campaign in state.entries:
            benches.append(Bench(state, record, campaign))

    partition = partition_of(campaign)
    ran = await probe_round(partition, probe, broker=session.broker, settings=settings, at=at)
    if not benches:
        return None
    bench = benches[-1]
    decisions: list[Decision] = []
    if at is None:
        decisions, _, _ = await newest_of(session.broker.chain, campaign, limit=1)
    board = Board(broker=session.broker, clock=session.clock)
    async with board.listening():
        await session.clock.sleep(GATEWAYS_S)
    platforms = bench.campaign.definition.platforms
    sent: list[Sent] | None = None
    unread = ""
    try:
        sent = await read_sent(
            session.broker.journal,
            bench.campaign,
            bench.base,
            list(board.gateways().values()),
            until=at,
        )
    except BrokerError as error:  # a user may be allowed to read decisions, and not journals
        unread = str(error)
    return _Explained(
        bench=bench,
        rerun=ran,
        record=bench.record,
        turns=bench.turns(),
        prospects=bench.prospects(),
        gateways=[
            (status.gateway, one)
            for status in board.gateways().values()
            for one in status.accounts
            if one.platform in platforms
            and platforms[one.platform].ad_account in (None, one.ad_account)
        ],
        sent=sent,
        sent_unread=unread,
        newest=decisions[-1] if decisions else None,
    )


async def _nothing(session: Session, campaign: str, at: str | None) -> int:
    stored = await session.repository.get(campaign)
    if stored is None:
        names = [one.campaign.definition.id async for one in session.repository.all()]
        hint = near_id(campaign, names) or " (engine list)"
        complain(f"{campaign}: wanted a published campaign, found nothing{hint}")
    elif at is not None:
        complain(f"{campaign}: was not decided yet at {at}")
    else:
        complain(f"{campaign}: is {stored.campaign.state.value}, and no round has decided it yet")
    return FAILED


# what people see


def _tell(found: _Explained, now: float, *, everything: bool) -> None:
    bench, record = found.bench, found.record
    decision, definition = bench.base, bench.campaign.definition
    say(
        f"{definition.id}  {bench.campaign.state.value}  round {record.round} of partition "
        f"{record.partition} at {utc(decision.at)}, by {record.owner}"
    )
    say(f"why        {sentence(decision, definition)}")
    if found.newest is not None:
        ago = max(now - found.newest.at, 0.0)
        say(f"           in force since {utc(found.newest.at)}, {ago:.0f} s ago")
    plan = planned_micros(definition, decision.at)
    say(
        f"spend      {_money(decision.settled_micros)} settled + "
        f"{_money(decision.reserved_micros)} reserved of {_money(definition.budget_micros)} "
        f"{definition.currency}; an even plan had {_money(plan)} by then"
    )
    say(f"pacing     multiplier {decision.pacing_multiplier:.3f}")
    width = max(len(one.platform) for one in decision.platforms) + 2
    for one in decision.platforms:
        for line in _platform_lines(one, found.prospects.get(one.platform), decision, width):
            say(line)
    for line in gate_lines(found.gateways):
        say(line)
    if found.sent is None:
        say(f"sent       not known: {found.sent_unread}")
    else:
        for line in sent_lines(found.sent, decision, now=now):
            say(line)
    _tell_turns(found, everything=everything)
    difference = found.rerun.difference
    is_late = found.rerun.begins == "snapshot"
    begins = "the newest snapshot" if is_late else "the beginning of the chain"
    how = f"decided again from {begins}"
    if difference is None:
        say(f"checked    {how}: equal to the record, to the bit")
    else:
        complain(
            f"{how}: not as recorded ({difference.field}: recorded {difference.wanted}, found "
            f"{difference.found}); other settings than the workers' (ENGINE_WINDOW)?"
        )


def _platform_lines(
    one: PlatformDecision, prospect: Prospect | None, decision: Decision, width: int
) -> list[str]:
    mark = "*" if one.platform == decision.best_platform else " "
    bid = f"bid {_price(one.bid_micros)}" if one.bid_micros else "no bid"
    roi = "-" if one.roi_micros is None else f"{one.roi_micros / MICROS:+.4f}"
    held = platform_sentence(one)
    first = f"{mark} {one.platform:<{width}}{bid}  roi a click {roi}  cap {_money(one.cap_micros)}"
    lines = [f"{first}{f'  held by {held}' if held else ''}"]
    if prospect is None:  # a platform that the campaign has dropped: its cap is still in force
        return lines
    trust, clicks = prospect.confidence, prospect.clicks_an_hour
    market = condition_words(one)
    hourly = "" if clicks is None else f"  clicks an hour {clicks.value:,.0f}"
    return [
        *lines,
        f"           cpc {_rate(prospect.cpc_micros, MICROS, 4)}{hourly}"
        f"{f'  ({market})' if market else ''}",
        f"           cvr % {_rate(prospect.cvr, 0.01, 2)}; of {prospect.conversions:,.1f} "
        f"conversions, next report {_rate(prospect.reported_cvr, 0.01, 2)}",
        f"           confidence {trust.value:.2f} = sample {trust.sample_size:.2f} x age "
        f"{trust.age:.2f} x spread {trust.spread:.2f} x complete {trust.completeness:.2f}; "
        f"{prospect.samples} samples, {prospect.clicks:,} clicks",
    ]


def _rate(found: Rate | None, unit: float, digits: int) -> str:
    if found is None:
        return "-"
    high = "?" if found.high is None else f"{found.high / unit:.{digits}f}"
    interval = f"95 %: {found.low / unit:.{digits}f} to {high}"
    return f"{found.value / unit:.{digits}f} ({interval}; {found.by})"


def _tell_turns(found: _Explained, *, everything: bool) -> None:
    if not found.turns:
        say("otherwise  nothing tried alone would have made another decision")
        return
    shown = found.turns if everything else found.turns[:MOST_TURNS]
    for number, turn in enumerate(shown):
        head = "otherwise" if number == 0 else ""
        say(f"{head:<10} {_turn(turn, found.bench.base)}")
    if len(found.turns) > len(shown):
        say(f"           … and {len(found.turns) - len(shown)} more (--all)")


def _turn(turn: Turn, base: Decision) -> str:
    before = {one.platform: one.bid_micros for one in base.platforms}
    after = {one.platform: one.bid_micros for one in turn.decision.platforms}
    new = [name for name, bid in after.items() if bid and not before.get(name)]
    gone = [name for name, bid in before.items() if bid and not after.get(name)]
    parts = []
    if turn.decision.action is Action.HOLD and base.action is not Action.HOLD:
        parts.append("not bid")
    else:
        if new:
            parts.append("bid " + ", ".join(f"{_price(after[name])} on {name}" for name in new))
        if gone:
            parts.append(f"not bid on {', '.join(gone)}")
        best = turn.decision.best_platform
        if not parts and best is not None and _price(after[best]) != _price(before.get(best, 0)):
            parts.append(f"bid {_price(after[best])} on {best}, not {_price(before.get(best, 0))}")
        if turn.decision.action is not base.action and base.action is not Action.HOLD:
            parts.append("bid freely" if turn.decision.action is Action.BID else "bid with caution")
    if turn.decision.binding is not base.binding:
        bound = code_name(turn.decision.binding)
        parts.append("be free of bounds" if bound == "none" else f"be bound by {bound}")
    sign = {">=": "≥", "<=": "≤", "=": "="}[turn.sign]
    would = " and ".join(parts)
    return f"with {turn.lever} {sign} {turn.threshold} (now {turn.now}) it would {would}"


def _money(micros: int) -> str:
    return f"{micros / MICROS:,.2f}"


def _price(micros: int) -> str:
    return f"{micros / MICROS:.4f}"


def _json(found: _Explained) -> dict[str, object]:
    decision = found.bench.base
    return {
        "decision": decision_json(decision),
        "reason": sentence(decision, found.bench.campaign.definition),
        "campaign": found.bench.campaign,
        "planned_micros": planned_micros(found.bench.campaign.definition, decision.at),
        "forecasts": found.prospects,
        "gateways": [{"gateway": name, "account": one} for name, one in found.gateways],
        "sent": found.sent,
        "otherwise": [
            {"lever": turn.lever, "sign": turn.sign, "threshold": turn.threshold, "now": turn.now}
            | {"is_other_action": turn.is_other_action, "decision": decision_json(turn.decision)}
            for turn in found.turns
        ],
        "replayed_from": found.rerun.begins,
        "difference": found.rerun.difference,
    }
