"""Mutations as TikTok's calls: statuses by the dozen, prices and budgets one by one.

TikTok has no dry run of its own: what it would most likely refuse is refused here, by how the
entity stands, and an outcome of a dry run says who checked it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.platforms.checks import amount_refused, mutation_refused
from engine.platforms.port import Lever, Mutation, Target
from engine.platforms.tiktok.standing import Found

__all__ = ["CHECKED_HERE", "Ask", "asks_of", "is_entity", "refused"]

CHECKED_HERE = "checked here, as TikTok has no dry run"
_KINDS = {"adgroups": "adgroup", "campaigns": "campaign"}
_STATUSES_A_CALL = 20


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call, and the mutations it is for: positions in the batch."""

    path: str
    body: Mapping[str, object]
    positions: tuple[int, ...]


def is_entity(entity: str) -> bool:
    """Return whether that is how an entity of TikTok's is named."""
    kind, _, number = entity.partition("/")
    return kind in _KINDS and number.isascii() and number.isdigit()


def refused(mutation: Mutation, found: Found | None, *, step: int, is_known: bool) -> str:
    """Return why a mutation is not sent; "" where it may be.

    `step`: the smallest amount; `is_known`: its entity was asked for.
    """
    if not is_entity(mutation.target.entity):
        return f"adgroups/1 or campaigns/2 wanted, found {mutation.target.entity!r}"
    standing = found.standing if found is not None else None
    if mutation.lever is Lever.SERVING:
        is_missing = is_known and standing is None
        return mutation_refused(mutation, None) if is_missing else amount_refused(mutation)
    if mutation.lever is Lever.DAILY_BUDGET and found is not None and found.is_lifetime:
        return "a daily budget wanted, found one for its whole life"
    reason = mutation_refused(mutation, standing)
    if reason and found is not None and "does not count" in reason:
        return f"{reason} (it bids by {found.strategy})"
    if reason and "shared" in reason:
        return "the budget is shared: its campaign's, and moved as campaigns/… only"
    if reason or mutation.lever is Lever.TARGET_ROAS:
        return reason
    if int(mutation.value) % step:
        return f"a multiple of {step} micros wanted, found {mutation.value}"
    budget = standing.daily_budget_micros if standing is not None else None
    if mutation.lever is not Lever.DAILY_BUDGET and budget and mutation.value > budget:
        return f"a price below the daily budget of {budget} micros wanted, found {mutation.value}"
    return ""


def asks_of(
    ad_account: str,
    mutations: Sequence[Mutation],
    groups: Sequence[Sequence[int]],
    found: Mapping[Target, Found],
) -> list[Ask]:
    """Return the calls for mutations: of each group of positions, the last is what counts."""
    statuses: dict[tuple[str, str], list[Sequence[int]]] = {}
    asks: list[Ask] = []
    for positions in groups:
        mutation = mutations[positions[-1]]
        kind, _, number = mutation.target.entity.partition("/")
        name = _KINDS[kind]
        if mutation.lever is Lever.SERVING:
            wanted = "ENABLE" if mutation.value else "DISABLE"
            statuses.setdefault((name, wanted), []).append(positions)
            continue
        field = "budget"
        if mutation.lever is not Lever.DAILY_BUDGET:
            field = found[mutation.target].bid_field
        scale = 1 if mutation.lever is Lever.TARGET_ROAS else 1_000_000
        body = {
            "advertiser_id": ad_account,
            f"{name}_id": number,
            field: mutation.value / scale,
        }
        asks.append(Ask(path=f"{name}/update", body=body, positions=tuple(positions)))
    return [*_statuses(ad_account, mutations, statuses), *asks]


def _statuses(
    ad_account: str,
    mutations: Sequence[Mutation],
    statuses: Mapping[tuple[str, str], Sequence[Sequence[int]]],
) -> list[Ask]:
    asks: list[Ask] = []
    for (name, wanted), groups in statuses.items():
        for start in range(0, len(groups), _STATUSES_A_CALL):
            some = groups[start : start + _STATUSES_A_CALL]
            ids = [mutations[p[-1]].target.entity.partition("/")[2] for p in some]
            body = {
                "advertiser_id": ad_account,
                f"{name}_ids": ids,
                "operation_status": wanted,
            }
            positions = tuple(position for group in some for position in group)
            asks.append(Ask(path=f"{name}/status/update", body=body, positions=positions))
    return asks
