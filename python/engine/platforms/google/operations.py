"""Mutations as operations of Google's services, with exact field masks.

One request may name a resource once (ID_EXISTS_IN_MULTIPLE_MUTATES), so mutations of the same
resource become one operation. A strategy's target is written to the strategy's own field only:
written to another's it would switch the strategy. What a portfolio or a shared budget decides is
not moved through one of its campaigns: link the portfolio or the budget itself.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from google.ads.googleads.v26.services.types.ad_group_service import MutateAdGroupsRequest
from google.ads.googleads.v26.services.types.bidding_strategy_service import (
    MutateBiddingStrategiesRequest,
)
from google.ads.googleads.v26.services.types.campaign_budget_service import (
    MutateCampaignBudgetsRequest,
)
from google.ads.googleads.v26.services.types.campaign_service import MutateCampaignsRequest

from engine.platforms.checks import amount_refused
from engine.platforms.google.channel import Clients
from engine.platforms.google.errors import Kind, Refusal
from engine.platforms.google.queries import is_entity
from engine.platforms.google.standing import Found
from engine.platforms.port import Lever, Mutation, Outcome, Result, Target

__all__ = [
    "Operation",
    "Service",
    "ask",
    "needs_standing",
    "outcomes_of",
    "plan",
    "request_of",
]

_ENABLED, _PAUSED = 2, 3  # of campaigns and of ad groups


class Service(Enum):
    """A service that mutates: the kind of its entities."""

    AD_GROUPS = "adGroups"
    CAMPAIGNS = "campaigns"
    BUDGETS = "campaignBudgets"
    STRATEGIES = "biddingStrategies"


_REQUESTS: dict[Service, Any] = {
    Service.AD_GROUPS: MutateAdGroupsRequest,
    Service.CAMPAIGNS: MutateCampaignsRequest,
    Service.BUDGETS: MutateCampaignBudgetsRequest,
    Service.STRATEGIES: MutateBiddingStrategiesRequest,
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An update of one resource: fields to values, and the mutations that asked for each."""

    service: Service
    resource: str
    fields: dict[str, float]
    asked_by: dict[str, list[int]]  # field → positions in the batch


class _Refused(Exception):  # noqa: N818 # an answer, not a failure
    pass


def needs_standing(mutation: Mutation) -> bool:
    """Return whether a mutation cannot be planned before it is known how its entity stands."""
    return mutation.lever is not Lever.SERVING


def plan(
    mutations: Sequence[Mutation], part: Sequence[int], found: Mapping[Target, Found]
) -> tuple[list[Operation], dict[int, Outcome]]:
    """Return the operations of a part, and the outcomes of mutations that are refused here."""
    merged: dict[tuple[Service, str], Operation] = {}
    refused: dict[int, Outcome] = {}
    for position in part:
        mutation = mutations[position]
        try:
            service, resource, field, value = _aim(mutation, found.get(mutation.target))
        except _Refused as error:
            refused[position] = Outcome(mutation.id, Result.REJECTED, str(error), "engine")
            continue
        operation = merged.setdefault(
            (service, resource),
            Operation(service=service, resource=resource, fields={}, asked_by={}),
        )
        operation.fields[field] = value
        operation.asked_by.setdefault(field, []).append(position)
    return list(merged.values()), refused


def request_of(
    ad_account: str, service: Service, operations: Sequence[Operation], *, is_dry_run: bool
) -> Any:
    """Return the request that asks a service for operations."""
    wrapper = _REQUESTS[service]
    request = wrapper.pb()(customer_id=ad_account, partial_failure=True, validate_only=is_dry_run)
    for operation in operations:
        update = request.operations.add()
        update.update.resource_name = operation.resource
        for path, value in operation.fields.items():
            _write(update.update, path, value)
            update.update_mask.paths.append(path)
    return wrapper.wrap(request)


def ask(service: Service) -> Callable[[Clients], Any]:
    """Return which method of the generated clients mutates a service's entities."""
    return {
        Service.AD_GROUPS: lambda clients: clients.ad_groups.mutate_ad_groups,
        Service.CAMPAIGNS: lambda clients: clients.campaigns.mutate_campaigns,
        Service.BUDGETS: lambda clients: clients.budgets.mutate_campaign_budgets,
        Service.STRATEGIES: lambda clients: clients.strategies.mutate_bidding_strategies,
    }[service]


def outcomes_of(
    mutations: Sequence[Mutation], batch: Sequence[Operation], failed: Sequence[Refusal]
) -> dict[int, Outcome]:
    """Return what came of mutations, by position, from the errors of a partial failure."""
    outcomes: dict[int, Outcome] = {}
    for number, operation in enumerate(batch):
        errors = [error for error in failed if error.operation in (None, number)]
        blamed = {error.field.removeprefix("update.") for error in errors} & {*operation.fields}
        for field, positions in operation.asked_by.items():
            for position in positions:
                outcome = _outcome(mutations[position].id, field, errors, blamed)
                outcomes[position] = outcome
    return outcomes


def _outcome(mutation: str, field: str, errors: Sequence[Refusal], blamed: set[str]) -> Outcome:
    if not errors:
        return Outcome(mutation, Result.APPLIED)
    if blamed and field not in blamed:
        reason = f"not applied, as another change of the same entity was refused ({errors[0].code})"
        return Outcome(mutation, Result.FAILED, reason, errors[0].code)
    own = [error for error in errors if not blamed or error.field.endswith(field)]
    error = own[0]
    is_final = all(each.kind in (Kind.REJECTED, Kind.CREDENTIALS) for each in own)
    result = Result.REJECTED if is_final else Result.FAILED
    return Outcome(mutation, result, error.reason, error.code)


def _aim(mutation: Mutation, found: Found | None) -> tuple[Service, str, str, float]:
    """Return which field of which resource a mutation sets, and to what."""
    if not is_entity(mutation.target.entity):
        raise _Refused(f"campaigns/1, adGroups/2 … wanted, found {mutation.target.entity!r}")
    service = Service(mutation.target.entity.partition("/")[0])
    resource = f"customers/{mutation.target.ad_account}/{mutation.target.entity}"
    if mutation.lever is Lever.SERVING:
        if service not in (Service.AD_GROUPS, Service.CAMPAIGNS):
            raise _Refused(f"a campaign or an ad group to pause wanted, found {service.value}")
        return service, resource, "status", _ENABLED if _amount(mutation) else _PAUSED
    if found is None:
        raise _Refused(f"{mutation.target.entity}: there is no such entity")
    if mutation.lever is Lever.DAILY_BUDGET:
        return Service.BUDGETS, _budget(service, found), "amount_micros", _amount(mutation)
    return service, resource, _bid_path(mutation, service, found), _amount(mutation)


def _budget(service: Service, found: Found) -> str:
    if not found.budget:
        raise _Refused("a portfolio has no budget")
    if not found.is_daily:
        raise _Refused("a daily budget wanted, found one for the campaign's whole life")
    if found.standing.is_budget_shared and service is not Service.BUDGETS:
        own = found.budget.split("/", 2)[2]
        raise _Refused(
            f"the budget is shared: it is moved as {own}, not through one that spends it"
        )
    return found.budget


def _bid_path(mutation: Mutation, service: Service, found: Found) -> str:
    lever = found.standing.steered_by
    if not found.bid_path or mutation.lever is not lever:
        strategy = found.strategy or "a budget"
        raise _Refused(
            f"{mutation.lever.value} does not count under {strategy}: {lever.value} does"
        )
    if found.portfolio and service is Service.CAMPAIGNS:
        own = found.portfolio.split("/", 2)[2]
        raise _Refused(f"a portfolio bids for it: it is moved as {own}")
    return found.bid_path


def _amount(mutation: Mutation) -> float:
    reason = amount_refused(mutation)
    if reason:
        raise _Refused(reason)
    return mutation.value if mutation.lever is Lever.TARGET_ROAS else int(mutation.value)


def _write(message: Any, path: str, value: float) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, value)
