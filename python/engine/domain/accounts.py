"""Accounts: caps over several campaigns, dealt to the partitions that the campaigns live in.

Campaigns of one account live in several partitions, each with an owner of its own, and no two
owners ask each other. So whoever publishes deals each cap out: a partition's share is what its
owner keeps to, and the shares add up to the cap at most (docs/decisions/0004). Caps are micros.
"""

from collections.abc import Mapping

import msgspec

__all__ = ["Account", "Committed", "Halt", "Share", "deal", "redeal"]


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an advertiser allows over all campaigns that name the account (None: no such cap).

    Its campaigns are of its currency and of its time zone, by which its days begin.
    """

    id: str
    currency: str = "USD"
    timezone: str = "UTC"
    daily_cap_micros: int | None = None
    total_cap_micros: int | None = None


class Share(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="account",
    tag_field="kind",
):  # fmt: skip
    """A partition's share of an account, as its entry in the table keeps it.

    `account` is the whole, so that every entry says what was dealt. `was_*` is the share before
    this one, where it was greater: it counts until the partition's owner has read this entry.
    """

    account: Account
    partition: int
    daily_cap_micros: int | None = None
    total_cap_micros: int | None = None
    later_daily_cap_micros: int | None = None  # from `later_from` on
    later_from: float | None = None  # epoch seconds
    was_daily_cap_micros: int | None = None
    was_total_cap_micros: int | None = None
    fell_at: float | None = None  # when the daily share last fell, epoch seconds
    is_halted: bool = False
    changed_at: float = 0.0  # epoch seconds
    changed_by: str = ""
    note: str = ""
    v: int = 1


class Halt(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="halt",
    tag_field="kind",
):  # fmt: skip
    """The kill switch, one entry in each partition: while `is_halted` nobody bids."""

    is_halted: bool
    changed_at: float = 0.0  # epoch seconds
    changed_by: str = ""
    note: str = ""
    v: int = 1


class Committed(msgspec.Struct, frozen=True):
    """What a partition has of an account: its share, and what it cannot give back."""

    share_micros: int  # the most that its owner may go by: the share before too, until it is read
    spent_micros: int = 0  # settled and reserved, the least that its share can be

    @property
    def most_micros(self) -> int:
        """Return what must be taken for given."""
        return max(self.share_micros, self.spent_micros)


def deal(cap_micros: int, needs: Mapping[int, int]) -> dict[int, int]:
    """Return shares of a cap in proportion to what partitions need; they add up to it exactly.

    Where nobody needs anything all have the same. Of what is left by rounding down, the partitions
    that lost most have a micro each.

    >>> deal(100, {3: 1, 7: 2})
    {3: 33, 7: 67}
    """
    total = sum(needs.values())
    weights = dict(needs) if total else dict.fromkeys(needs, 1)
    total = total or len(weights)
    shares = {key: cap_micros * weight // total for key, weight in weights.items()}
    rest = cap_micros - sum(shares.values())
    by_loss = sorted(weights, key=lambda key: (-(cap_micros * weights[key] % total), key))
    for key in by_loss[:rest]:
        shares[key] += 1
    return shares


def redeal(
    cap_micros: int, needs: Mapping[int, int], given: Mapping[int, Committed]
) -> dict[int, int]:
    """Return new shares where some have been dealt before, never above the cap together with them.

    A share may fall at once; what it falls by is free once its owner keeps to the lower one. So
    nobody rises by more than the cap has left beside what is given, and a second deal, when the
    lower shares have been read, gives the rest. The sum over partitions of the greater of the old
    and the new share stays within the cap, or is what was given before where that was more.

    >>> redeal(100, {3: 1, 7: 1}, {3: Committed(share_micros=100)})
    {3: 50, 7: 0}
    >>> redeal(100, {3: 1, 7: 1}, {3: Committed(share_micros=50)})
    {3: 50, 7: 50}
    """
    # What is spent stays: the rest of the cap is dealt by need. A partition may have committed more
    # than its share, in the rounds before it read that the share fell.
    targets = deal(cap_micros, needs)
    everybody = {**dict.fromkeys(given, 0), **targets}
    floors = {key: given[key].spent_micros if key in given else 0 for key in everybody}
    wanted = _above(floors, everybody, cap_micros)
    free = max(cap_micros - sum(one.most_micros for one in given.values()), 0)
    shares, rises = {}, {}
    for key, share in wanted.items():
        before = given[key].most_micros if key in given else 0
        shares[key] = min(share, before)
        rises[key] = max(share - before, 0)
    asked = sum(rises.values())
    granted = rises if asked <= free else deal(free, rises)
    return {key: shares[key] + granted.get(key, 0) for key in sorted(shares)}


def _above(floors: dict[int, int], targets: dict[int, int], cap: int) -> dict[int, int]:
    """Return the targets, none below its floor; what floors take comes from those above theirs."""
    wanted = {key: max(targets[key], floors[key]) for key in targets}
    over = sum(wanted.values()) - cap
    if over <= 0:
        return wanted
    above = {key: wanted[key] - floors[key] for key in wanted}
    cuts = deal(min(over, sum(above.values())), above)
    return {key: wanted[key] - min(cuts[key], above[key]) for key in wanted}
