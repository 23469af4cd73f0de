"""What gateways sent to ad platforms for one campaign, and why nothing where nothing was sent."""

from collections.abc import Sequence

import msgspec

from engine.cli.changes import entries_of, shown
from engine.cli.output import utc
from engine.domain.campaign import Campaign, PlatformBounds
from engine.domain.decision import Decision
from engine.domain.lifecycle import State
from engine.messaging.gateway_status import AccountStatus, GatewayStatus
from engine.messaging.ports import Journal
from engine.reports.changelog import Entry

__all__ = ["Sent", "gate_lines", "read_sent", "sent_lines"]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A platform of the campaign: the newest change sent there, or why there is none."""

    platform: str
    ad_account: str | None
    entity: str | None
    newest: Entry | None
    before: int  # changes that were sent before it
    held_back: dict[str, int]  # changes of the whole ad account that are held back now, by reason
    reason: str  # why nothing was sent; "" where something was


async def read_sent(
    journal: Journal,
    campaign: Campaign,
    decision: Decision,
    gateways: Sequence[GatewayStatus],
    *,
    until: float | None = None,
) -> list[Sent]:
    """Return what was sent for a campaign until a time (None: now), by platform.

    `gateways` are those that speak now: what is held back is known of this moment only.

    Raises:
        BrokerError: the journals cannot be read.
    """
    name, found = campaign.definition.id, []
    for platform, bounds in sorted(campaign.definition.platforms.items()):
        entries = [
            one
            for one in await entries_of(journal, platform=platform)
            if one.campaign == name and (until is None or one.at <= until)
        ]
        account = _account(platform, bounds, gateways)
        found.append(
            Sent(
                platform=platform,
                ad_account=bounds.ad_account,
                entity=bounds.entity,
                newest=entries[-1] if entries else None,
                before=max(len(entries) - 1, 0),
                held_back={} if account is None else account[1].held_back,
                reason="" if entries else _why_nothing(campaign, decision, platform, account),
            )
        )
    return found


_Account = tuple[GatewayStatus, AccountStatus]


def _account(
    platform: str, bounds: PlatformBounds, gateways: Sequence[GatewayStatus]
) -> _Account | None:
    """Return the ad account as the gateway that holds it tells of it, or else any gateway."""
    heard = [
        (status, one)
        for status in gateways
        for one in status.accounts
        if (one.platform, one.ad_account) == (platform, bounds.ad_account)
    ]
    return min(heard, key=lambda one: not one[1].is_held, default=None)


def _why_nothing(
    campaign: Campaign, decision: Decision, platform: str, account: _Account | None
) -> str:
    """Return the first thing that stands between a decision and the platform."""
    bounds = campaign.definition.platforms[platform]
    if bounds.ad_account is None or bounds.entity is None:
        missing = "ad_account" if bounds.ad_account is None else "entity"
        return f"the definition names no {missing} there"
    if account is None:
        return f"no gateway heard has {platform}/{bounds.ad_account}"
    status, one = account
    if not one.is_held:
        why = f": {one.last_error}" if one.last_error else ""
        return f"gateway {status.gateway} does not hold the ad account{why}"
    if status.is_halted:
        return "the kill switch is on"
    if one.breaker != "closed":
        why = f": {one.last_error}" if one.last_error else ""
        return f"the breaker is {one.breaker}{why}"
    bid = {each.platform: each.bid_micros for each in decision.platforms}.get(platform, 0)
    if not bid and campaign.state is State.ACTIVE:
        return "no bid was decided there"
    if one.waiting or one.held_back:
        return f"{_waiting(one.held_back, one.waiting)}, in the whole ad account"
    return "nothing waits in the ad account"


def _waiting(held_back: dict[str, int], waiting: int) -> str:
    held = ", ".join(f"{count:,} {why}" for why, count in sorted(held_back.items()))
    return f"{waiting:,} waiting" + (f"; held back {held}" if held else "")


def gate_lines(accounts: Sequence[tuple[str, AccountStatus]]) -> list[str]:
    """Return what people read of ad accounts and the gateways that speak of them: a line each."""
    if not accounts:
        return ["gate       no gateway heard: nothing is sent to a real platform"]
    lines = []
    for gateway, one in accounts:
        mode = "live" if one.is_live else "dry run"
        left = "" if one.operations_left is None else f", {one.operations_left:,} operations left"
        lines.append(
            f"gate       {one.platform}/{one.ad_account} by {gateway}: {mode}, breaker "
            f"{one.breaker}{left}, {_waiting(one.held_back, one.waiting)}"
        )
    return lines


def sent_lines(found: Sequence[Sent], decision: Decision, *, now: float) -> list[str]:
    """Return what people read: a line a platform."""
    bids = {one.platform: one.bid_micros for one in decision.platforms}
    lines = []
    for number, one in enumerate(found):
        head = "sent" if number == 0 else ""
        newest = one.newest
        if newest is None:
            place = one.platform if one.ad_account is None else f"{one.platform}/{one.ad_account}"
            lines.append(f"{head:<10} {place}: nothing was sent: {one.reason}")
            continue
        outcome = ("dry run, " if newest.is_dry_run else "") + newest.result
        parts = [
            f"{newest.lever} {shown(newest.lever, newest.before)} → "
            f"{shown(newest.lever, newest.value)} for {newest.why or 'no reason told'}",
            outcome + (f": {newest.reason}" if newest.reason else ""),
        ]
        if newest.verdict:
            parts.append(f"judged {newest.verdict}")
        if newest.lever == "bid" and bids.get(one.platform, 0) != round(newest.value):
            parts.append(f"decided since {shown('bid', bids.get(one.platform, 0))}")
        if one.before:
            parts.append(f"{one.before:,} before it (engine changes)")
        ago = max(now - newest.at, 0.0)
        lines.append(
            f"{head:<10} {newest.platform}/{newest.ad_account} {newest.entity}, {utc(newest.at)}, "
            f"{ago:,.0f} s ago: {'; '.join(parts)}"
        )
    return lines
