"""The journal of ad accounts as a list of changes, and what it takes to undo them. Pure."""

from collections.abc import Iterable

import msgspec

__all__ = ["Entry", "Undo", "undo"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: what, from what to what, why, and what became of it."""

    id: str
    at: float  # epoch seconds, when it was intended
    platform: str
    ad_account: str
    campaign: str
    entity: str
    lever: str
    before: float | None
    value: float
    why: str
    partition: int = -1
    sequence: int = 0
    worth_micros_per_h: float = 0.0
    owner: str = ""
    is_dry_run: bool = False
    result: str = "open"  # applied, rejected, failed; open: nobody knows yet
    reason: str = ""
    verdict: str = ""  # improved, worse, inconclusive; "" where it is too early


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """A lever to be set back."""

    platform: str
    ad_account: str
    campaign: str
    entity: str
    lever: str
    now: float  # what the journal says is in force
    value: float
    changes: int  # that are undone


def undo(
    entries: Iterable[Entry],
    *,
    to: float | None = None,
    change: str | None = None,
    campaigns: frozenset[str] = frozenset(),
) -> tuple[list[Undo], list[Entry]]:
    """Return the levers to set back, and the changes that cannot be undone.

    With `to`, everything applied behind that time is: each lever goes to what was in force before
    the first of its changes. With `change`, that change and what was built on it of the same
    lever. A change whose former value nobody knew cannot be undone.
    """
    applied = sorted(
        (
            one
            for one in entries
            if one.result == "applied"
            and not one.is_dry_run
            and (not campaigns or one.campaign in campaigns)
        ),
        key=lambda one: one.at,
    )
    if change is not None:
        named = next((one for one in applied if one.id == change), None)
        if named is None:
            return [], []
        applied = [one for one in applied if _lever(one) == _lever(named) and one.at >= named.at]
    elif to is not None:
        applied = [one for one in applied if one.at > to]
    by_lever: dict[tuple[str, str, str, str], list[Entry]] = {}
    for one in applied:
        by_lever.setdefault(_lever(one), []).append(one)
    undone, lost = [], []
    for changes in by_lever.values():
        first, last = changes[0], changes[-1]
        if first.before is None:
            lost.append(first)
        elif first.before != last.value:
            undone.append(
                Undo(
                    platform=first.platform,
                    ad_account=first.ad_account,
                    campaign=last.campaign,
                    entity=first.entity,
                    lever=first.lever,
                    now=last.value,
                    value=first.before,
                    changes=len(changes),
                )
            )
    return undone, lost


def _lever(one: Entry) -> tuple[str, str, str, str]:
    return one.platform, one.ad_account, one.entity, one.lever
