"""Mutations as fields of Meta's nodes, in its units, and what its answers mean for each."""

from engine.errors import PlatformUnavailableError
from engine.platforms.checks import amount_refused, mutation_refused
from engine.platforms.http import Answer, bare_error
from engine.platforms.meta.access import NAME
from engine.platforms.meta.errors import Kind, refusal_of
from engine.platforms.meta.graph import Change
from engine.platforms.meta.money import to_minor
from engine.platforms.meta.standing import ROAS_SCALE, Found
from engine.platforms.port import Lever, Mutation, Outcome, Result

__all__ = ["KINDS", "change_of", "node_of", "outcome_of", "refused"]

KINDS = ("adsets", "campaigns")
ENGINE = "engine"  # the code of what was refused here


def node_of(entity: str) -> tuple[str, str] | None:
    """Return the kind and the id of an entity; None where it is none of Meta's."""
    kind, _, number = entity.partition("/")
    is_one = kind in KINDS and number.isascii() and number.isdigit()
    return (kind, number) if is_one else None


def refused(mutation: Mutation, found: Found | None, *, step: int | None) -> str:
    """Return why a mutation is not sent; "" where it may be. `step`: None where not known."""
    if node_of(mutation.target.entity) is None:
        return f"campaigns/1 or adsets/2 wanted, found {mutation.target.entity!r}"
    if mutation.lever is Lever.SERVING:
        return amount_refused(mutation)
    if found is not None and mutation.lever is Lever.DAILY_BUDGET and found.is_lifetime:
        return "a daily budget wanted, found one for its whole life"
    reason = mutation_refused(mutation, found.standing if found is not None else None)
    if reason and found is not None and "does not count" in reason:
        return f"{reason} (it bids by {found.strategy})"
    if reason and found is not None and "shared" in reason:
        return "the budget is shared: its campaign's, and moved as campaigns/… only"
    if reason or mutation.lever is Lever.TARGET_ROAS or step is None:
        return reason
    return f"a multiple of {step} micros wanted, found {mutation.value}" * bool(
        int(mutation.value) % step
    )


def change_of(mutation: Mutation, *, step: int, is_dry_run: bool) -> Change:
    """Return the change that a mutation is."""
    match mutation.lever:
        case Lever.SERVING:
            fields = {"status": "ACTIVE" if mutation.value else "PAUSED"}
        case Lever.DAILY_BUDGET:
            fields = {"daily_budget": str(to_minor(int(mutation.value), step))}
        case Lever.TARGET_ROAS:
            floor = round(mutation.value * ROAS_SCALE)
            fields = {"bid_constraints": f'{{"roas_average_floor":{floor}}}'}
        case _:
            fields = {"bid_amount": str(to_minor(int(mutation.value), step))}
    if is_dry_run:
        fields["execution_options"] = '["validate_only"]'
    _, number = mutation.target.entity.split("/")
    return Change(number, fields)


def outcome_of(mutation: Mutation, answer: Answer | None) -> Outcome:
    """Return what came of a mutation.

    Raises PlatformUnavailableError where nobody knows, and PlatformThrottledError or
    PlatformCredentialsError where it holds for the whole ad account.
    """
    if answer is None:
        raise PlatformUnavailableError(NAME, "an answer for each change wanted, found none")
    refusal = refusal_of(answer.body, answer.headers)
    if refusal is None:
        if answer.status == 200 and isinstance(answer.body, dict):
            return Outcome(mutation.id, Result.APPLIED)
        raise bare_error(NAME, answer)
    if refusal.kind is Kind.REJECTED:
        return Outcome(mutation.id, Result.REJECTED, refusal.reason, refusal.code)
    if refusal.is_of_the_entity:
        return Outcome(mutation.id, Result.FAILED, refusal.reason, refusal.code)
    raise refusal.error()
