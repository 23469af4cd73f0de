"""What a definition and a sample must satisfy; one test a rule."""

from typing import Any

import msgspec
import pytest

from engine.domain.campaign import (
    Campaign,
    Definition,
    Flight,
    Guardrails,
    PlatformBounds,
    Strategy,
)
from engine.domain.codec import decode_campaign, encode_campaign
from engine.domain.lifecycle import State
from engine.domain.metrics import Sample
from engine.domain.validation import problems_of, problems_of_sample, validate
from engine.errors import DefinitionError, MalformedMessageError

SOUND = Definition(
    id="spring",
    budget_micros=100_000_000,
    flight=Flight(starts_at=1.79e9, ends_at=1.8e9),
    platforms={"google": PlatformBounds(), "meta": PlatformBounds()},
    conversion_value_micros=20_000_000,
)
SAMPLE = Sample(campaign="spring", platform="google", at=1.79e9, clicks=3, spend_micros=1_500_000)


def changed(**fields: Any) -> Definition:  # noqa: ANN401
    return msgspec.structs.replace(SOUND, **fields)


def test_a_sound_definition_is_given_back() -> None:
    assert validate(SOUND) is SOUND


@pytest.mark.parametrize(
    ("field", "definition"),
    [
        ("id", changed(id="")),
        ("id", changed(id="a.b")),
        ("id", changed(id="a" * 65)),
        ("id", changed(id="a\n")),
        ("name", changed(name="a" * 201)),
        ("name", changed(name="\x1b[31m")),
        ("currency", changed(currency="usd")),
        ("timezone", changed(timezone="Mars/Base")),
        ("timezone", changed(timezone="../../etc/passwd")),
        ("budget_micros", changed(budget_micros=0)),
        ("budget_micros", changed(budget_micros=2**53 + 1)),
        ("flight.ends_at", changed(flight=Flight(1.8e9, 1.8e9))),
        ("flight.starts_at", changed(flight=Flight(float("nan"), 1.8e9))),
        ("flight.ends_at", changed(flight=Flight(1.79e9, float("inf")))),
        ("flight.ends_at", changed(flight=Flight(1.79e9, 1.8e12))),
        ("flight.starts_at", changed(flight=Flight(0, 1.8e9))),
        ("conversion_value_micros", changed(conversion_value_micros=-1)),
        ("conversion_value_micros", changed(conversion_value_micros=None)),
        ("target_cpa_micros", changed(strategy=Strategy.TARGET_CPA)),
        ("target_cpa_micros", changed(target_cpa_micros=0)),
        ("target_roas", changed(strategy=Strategy.TARGET_ROAS)),
        ("target_roas", changed(target_roas=float("nan"))),
        ("target_roas", changed(target_roas=1_001.0)),
        ("target_reach", changed(target_reach=0)),
        ("platforms", changed(platforms={})),
        ("platforms", changed(platforms={f"p{i}": PlatformBounds() for i in range(17)})),
        ("platforms", changed(platforms={"Google": PlatformBounds()})),
        ("guardrails.min_bid_micros", changed(guardrails=Guardrails(min_bid_micros=0))),
        ("guardrails.max_bid_micros", changed(guardrails=Guardrails(max_bid_micros=9_999))),
        ("guardrails.max_change", changed(guardrails=Guardrails(max_change=0.0))),
        ("guardrails.max_change", changed(guardrails=Guardrails(max_change=1.1))),
        ("guardrails.max_change", changed(guardrails=Guardrails(max_change=float("nan")))),
        ("guardrails.daily_cap_micros", changed(guardrails=Guardrails(daily_cap_micros=0))),
        (
            "guardrails.daily_cap_micros",
            changed(guardrails=Guardrails(daily_cap_micros=100_000_001)),
        ),
        (
            "platforms.google.min_bid_micros",
            changed(platforms={"google": PlatformBounds(min_bid_micros=100_000_001)}),
        ),
        (
            "platforms.google.max_bid_micros",
            changed(platforms={"google": PlatformBounds(max_bid_micros=9_999)}),
        ),
        (
            "platforms.google.daily_cap_micros",
            changed(platforms={"google": PlatformBounds(daily_cap_micros=100_000_001)}),
        ),
        ("labels", changed(labels={str(i): "" for i in range(33)})),
        ("labels", changed(labels={"": "x"})),
        ("labels.team", changed(labels={"team": "a" * 257})),
    ],
)
def test_each_rule_names_its_field_and_nothing_else(field: str, definition: Definition) -> None:
    assert [problem.field for problem in problems_of(definition)] == [field]


def test_the_edges_are_inside() -> None:
    edge = changed(
        id="a" * 64,
        budget_micros=2**53,
        platforms={f"p{i}": PlatformBounds() for i in range(16)},
        guardrails=Guardrails(
            min_bid_micros=1, max_bid_micros=1, max_change=1.0, daily_cap_micros=2**53
        ),
    )
    assert list(problems_of(edge)) == []


def test_maximise_reach_needs_neither_value_nor_target() -> None:
    reach = changed(strategy=Strategy.MAXIMISE_REACH, conversion_value_micros=None)
    assert list(problems_of(reach)) == []


def test_a_target_cpa_stands_for_a_conversion_value() -> None:
    for strategy in (Strategy.DYNAMIC, Strategy.TARGET_CPA, Strategy.EVEN_PACING):
        definition = changed(
            strategy=strategy, conversion_value_micros=None, target_cpa_micros=5_000_000
        )
        assert list(problems_of(definition)) == []


def test_target_roas_needs_a_value_too() -> None:
    definition = changed(strategy=Strategy.TARGET_ROAS, target_roas=4.0)
    assert list(problems_of(definition)) == []
    definition = msgspec.structs.replace(definition, conversion_value_micros=None)
    assert [problem.field for problem in problems_of(definition)] == ["conversion_value_micros"]


def test_platforms_whose_samples_could_not_be_told_apart_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two names with one 64-bit key are not to be found by trying: the hash is made to collide.
    monkeypatch.setattr("engine.domain.validation.series_key", lambda campaign, platform: 7)
    (problem,) = problems_of(SOUND)
    assert problem.field == "platforms"
    assert problem.found == "meta"


def test_milliseconds_are_recognised() -> None:
    (problem,) = problems_of(changed(flight=Flight(1.79e9, 1.8e12)))
    assert "milliseconds" in problem.wanted


def test_the_first_problem_is_raised_and_the_others_are_its_notes() -> None:
    with pytest.raises(DefinitionError) as refused:
        validate(changed(budget_micros=0, currency="x", target_reach=0))
    assert refused.value.field == "currency"
    assert [note.split(":")[1] for note in refused.value.__notes__] == [
        " budget_micros",
        " target_reach",
    ]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("campaign", {"campaign": "a b"}),
        ("platform", {"platform": "Google"}),
        ("at", {"at": 1.79e12}),
        ("clicks", {"clicks": -1}),
        ("clicks", {"clicks": 2**31}),
        ("impressions", {"impressions": 2**32}),
        ("conversions", {"conversions": float("nan")}),
        ("conversions", {"conversions": 2_147_484.0}),
        ("spend_micros", {"spend_micros": -1}),
        ("spend_micros", {"spend_micros": 2**31 * 100}),
    ],
)
def test_a_sample_out_of_range_names_its_field(field: str, change: dict[str, Any]) -> None:
    sample = msgspec.structs.replace(SAMPLE, **change)
    assert [problem.field for problem in problems_of_sample(sample, currency="USD")] == [field]


def test_a_sample_in_yen_may_hold_a_hundred_times_as_much() -> None:
    sample = msgspec.structs.replace(SAMPLE, spend_micros=2**31 * 100)
    assert list(problems_of_sample(SAMPLE, currency="USD")) == []
    assert list(problems_of_sample(sample, currency="JPY")) == []


def test_a_campaign_comes_back_from_its_bytes() -> None:
    stored = Campaign(definition=SOUND, state=State.ACTIVE, changed_at=1.79e9, note="x")
    assert decode_campaign("here", encode_campaign(stored)) == stored
    newer = msgspec.structs.replace(stored, v=2)
    for payload in (b"", b"\xc1", b"\x80", encode_campaign(newer)):
        with pytest.raises(MalformedMessageError, match="here"):
            decode_campaign("here", payload)
