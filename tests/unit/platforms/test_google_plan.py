"""Plans of changes: each mutation is planned or refused, once, and told one outcome."""

from hypothesis import given
from hypothesis import strategies as st

from engine.platforms.batches import by_urgency
from engine.platforms.google.errors import Kind, Refusal
from engine.platforms.google.operations import Service, outcomes_of, plan, request_of
from engine.platforms.google.standing import Found
from engine.platforms.port import Lever, Mutation, Result, Standing, Target

ENTITIES = ["campaigns/1", "campaigns/2", "adGroups/1", "campaignBudgets/1", "ads/1", "campaigns/9"]
PATHS = {"campaigns": "target_cpa.target_cpa_micros", "adGroups": "target_cpa_micros"}


def found(entity: str) -> Found:
    kind = entity.partition("/")[0]
    path = PATHS.get(kind, "")
    return Found(
        standing=Standing(
            target=Target("1", entity),
            is_serving=True,
            steered_by=Lever.TARGET_CPA if path else Lever.DAILY_BUDGET,
            daily_budget_micros=10_000_000,
        ),
        strategy="TARGET_CPA" if path else "",
        bid_path=path,
        budget="customers/1/campaignBudgets/1",
    )


FOUND = {Target("1", entity): found(entity) for entity in ENTITIES if entity != "campaigns/9"}
MUTATIONS = st.lists(
    st.builds(
        lambda entity, lever, value: (entity, lever, value),
        st.sampled_from(ENTITIES),
        st.sampled_from(list(Lever)),
        st.sampled_from([0.0, 1.0, 1_000_000.0, 2_000_000.0, 0.5, float("nan"), -1.0]),
    ),
    max_size=12,
)


def mutations_of(drawn: list[tuple[str, Lever, float]]) -> list[Mutation]:
    return [
        Mutation(id=f"m{n}", target=Target("1", entity), lever=lever, value=value)
        for n, (entity, lever, value) in enumerate(drawn)
    ]


@given(MUTATIONS)
def test_each_mutation_is_planned_once_or_refused_once(
    drawn: list[tuple[str, Lever, float]],
) -> None:
    mutations = mutations_of(drawn)
    parts = by_urgency(mutations)
    assert sorted(n for part in parts for n in part) == list(range(len(mutations)))
    operations, refused = plan(mutations, range(len(mutations)), FOUND)
    planned = [n for each in operations for asked in each.asked_by.values() for n in asked]
    assert sorted([*planned, *refused]) == list(range(len(mutations)))
    assert all(outcome.id == f"m{n}" for n, outcome in refused.items())
    assert all(outcome.result is Result.REJECTED for outcome in refused.values())


@given(MUTATIONS)
def test_a_resource_is_named_once_and_its_mask_names_what_is_written(
    drawn: list[tuple[str, Lever, float]],
) -> None:
    operations, _ = plan(mutations_of(drawn), range(len(drawn)), FOUND)
    assert len({operation.resource for operation in operations}) == len(operations)
    for service in Service:
        own = [operation for operation in operations if operation.service is service]
        request = request_of("1", service, own, is_dry_run=True)
        assert (request.partial_failure, request.validate_only) == (True, True)
        for operation, sent in zip(own, type(request).pb(request).operations, strict=True):
            assert set(sent.update_mask.paths) == set(operation.fields)
            assert sent.update.resource_name == operation.resource
            written = {field.name for field, _ in sent.update.ListFields()} - {"resource_name"}
            assert written == {path.partition(".")[0] for path in operation.fields}


REFUSALS = st.lists(
    st.builds(
        lambda operation, kind, field: Refusal(
            kind=kind, code="x.Y", reason="no", operation=operation, field=field
        ),
        st.one_of(st.none(), st.integers(0, 12)),
        st.sampled_from(list(Kind)),
        st.sampled_from(["", "update.status", "update.amount_micros", "update.resource_name"]),
    ),
    max_size=6,
)


@given(MUTATIONS, REFUSALS)
def test_each_planned_mutation_is_told_one_outcome(
    drawn: list[tuple[str, Lever, float]], failed: list[Refusal]
) -> None:
    mutations = mutations_of(drawn)
    operations, _ = plan(mutations, range(len(mutations)), FOUND)
    outcomes = outcomes_of(mutations, operations, failed)
    planned = {n for each in operations for asked in each.asked_by.values() for n in asked}
    assert set(outcomes) == planned
    hit = {error.operation for error in failed}
    for number, operation in enumerate(operations):
        results = {
            outcomes[position].result
            for positions in operation.asked_by.values()
            for position in positions
        }
        is_untouched = number not in hit and None not in hit
        assert (results == {Result.APPLIED}) is is_untouched
        assert is_untouched or Result.APPLIED not in results, "an operation is done whole or not"
