"""Mutations of one batch: of one ad account, not too many, stops by themselves and first."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.errors import PlatformError, PlatformUnavailableError
from engine.platforms.port import Lever, Mutation, Outcome, Result, Target

__all__ = ["ApplyPart", "apply_batch", "by_urgency", "latest", "one_ad_account"]


class ApplyPart(Protocol):
    """Applies a part of a batch, and puts down what came of each by its position."""

    async def __call__(
        self,
        ad_account: str,
        mutations: Sequence[Mutation],
        part: Sequence[int],
        outcomes: dict[int, Outcome],
        *,
        is_dry_run: bool,
    ) -> None: ...


async def apply_batch(
    mutations: Sequence[Mutation], apply: ApplyPart, *, most: int, is_dry_run: bool
) -> list[Outcome]:
    """Return what came of mutations, in their order, having applied stops first.

    Raises ValueError for two ad accounts or for too many mutations, and PlatformError where none
    was applied, or where it is not known which were.
    """
    if not mutations:
        return []
    ad_account = one_ad_account(mutations, most=most)
    outcomes: dict[int, Outcome] = {}
    for part in by_urgency(mutations):
        try:
            await apply(ad_account, mutations, part, outcomes, is_dry_run=is_dry_run)
        except PlatformError as error:
            outcomes |= _unless_applied(error, mutations, part, outcomes)
    return [outcomes[position] for position in range(len(mutations))]


def by_urgency(mutations: Sequence[Mutation]) -> list[list[int]]:
    """Return the positions of stops, and of all others: parts that are asked for by themselves.

    A stop waits for no question, and is not refused because another lever of its entity is. Of an
    entity that is stopped and started in one batch, the later counts.
    """
    last = {m.target: m.value for m in mutations if m.lever is Lever.SERVING}
    stops: list[int] = []
    others: list[int] = []
    for position, mutation in enumerate(mutations):
        is_stop = mutation.lever is Lever.SERVING and last[mutation.target] == 0
        (stops if is_stop else others).append(position)
    return [part for part in (stops, others) if part]


def latest(
    mutations: Sequence[Mutation], part: Sequence[int]
) -> dict[tuple[Target, Lever], list[int]]:
    """Return the positions of a part by what they move; the last of each is the one to send."""
    found: dict[tuple[Target, Lever], list[int]] = {}
    for position in part:
        mutation = mutations[position]
        found.setdefault((mutation.target, mutation.lever), []).append(position)
    return found


def one_ad_account(mutations: Sequence[Mutation], *, most: int) -> str:
    """Return whose mutations these are. Raises ValueError for two, or for too many."""
    ad_accounts = {mutation.target.ad_account for mutation in mutations}
    if len(ad_accounts) > 1:
        raise ValueError(f"mutations of one ad account wanted, found {sorted(ad_accounts)}")
    if len(mutations) > most:
        raise ValueError(f"at most {most} mutations wanted, found {len(mutations)}")
    return ad_accounts.pop()


def _unless_applied(
    error: PlatformError,
    mutations: Sequence[Mutation],
    part: Sequence[int],
    outcomes: Mapping[int, Outcome],
) -> dict[int, Outcome]:
    """Return that the rest of a part failed, where others of its batch were applied.

    Raises the error where none was, or where it is not known what was.
    """
    if isinstance(error, PlatformUnavailableError) or all(
        outcome.result is not Result.APPLIED for outcome in outcomes.values()
    ):
        raise error
    return {
        position: Outcome(mutations[position].id, Result.FAILED, error.reason, error.code)
        for position in part
        if position not in outcomes
    }
