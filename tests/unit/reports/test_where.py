"""`--where`: what an expression chooses, what it leaves undecided, and where it is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.decision import Action, Binding, Decision, PlatformDecision
from engine.domain.lifecycle import State
from engine.reports.facts import FIELDS, Chosen, choose, parse
from engine.reports.where import WhereError
from support.definitions import START, campaign


def bid(platform: str, roi: float | None, **fields: object) -> PlatformDecision:
    wanted: dict[str, object] = {
        "bid_micros": 500_000,
        "cap_micros": 3_000_000,
        "cpc_micros": 400_000.0,
        "cvr": 0.04,
        "roi_micros": None if roi is None else roi * 1e6,
        "confidence": 0.5,
    }
    return PlatformDecision(platform, **(wanted | fields))  # type: ignore[arg-type]


DECISION = Decision(
    campaign="spring-shoes",
    partition=25,
    epoch=1,
    round=7,
    at=START + 10,
    action=Action.BID,
    binding=Binding.MAX_BID,
    best_platform="google",
    pacing_multiplier=0.8,
    settled_micros=20_000_000,
    reserved_micros=5_000_000,
    platforms=(bid("google", 0.4), bid("meta", -0.1, bound_by=Binding.POOR_ROI)),
)
ONE = campaign(labels={"team": "search"}, target_cpa_micros=10_000_000)


def chosen(text: str, decision: Decision | None = DECISION) -> Chosen:
    ledger = None if decision is None else (decision.settled_micros, decision.reserved_micros)
    return choose(parse(text), ONE, decision, ledger, START + 3600)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("platform = meta and roi < 0", True),
        ("platform=google and roi<0", False),
        ("roi < 0", True),
        ("state = active", True),
        ("state != active", False),
        ("not state = active", False),
        ("state in (paused, active)", True),
        ("state not in (paused, active)", False),
        ("id ~ spring-*", True),
        ("id !~ 'spring-*'", False),
        ("label.team = search and label.region = none", True),
        ("platforms = meta", True),
        ("platforms = tiktok", False),
        ("platforms != meta", False),
        ("budget = 100", True),
        ("budget = 0.1k and budget < 1M", True),
        ("budget >= 100.000001", False),
        ("budget >= 100 USD", True),
        ("spent_share = 20%", True),
        ("spent = 20 and left = 80", True),
        ("cvr = 0.04 and cvr <= 4%", True),
        ("ends_in <= 23h and ends_in > 22h", True),
        ("starts_in < 0", True),
        ("decided_ago > 59min", True),
        ("bound_by = max-bid and bid_bound_by = poor-roi", True),
        ("cpc < target_cpa", True),
        ("roi > 0 or roi < -1 and state = paused", True),
        ("(roi > 0 or roi < -1) and state = paused", False),
        ("target_roas = none", True),
        ("target_roas != none", False),
    ],
)
def test_an_expression_means_what_it_says(text: str, fits: bool) -> None:
    assert chosen(text).fits is fits


def test_the_platforms_that_fit_are_named() -> None:
    assert chosen("roi < 0") == Chosen(True, ("meta",))
    assert chosen("state = active") == Chosen(True, ("google", "meta"))


@pytest.mark.parametrize(
    "text",
    ["roi < 0", "not roi < 0", "roi < 0 or state = paused", "spent > 1", "bound_by != max-bid"],
)
def test_nobody_is_chosen_by_what_nobody_knows(text: str) -> None:
    assert chosen(text, None).fits is None


def test_what_is_known_decides_where_it_is_enough() -> None:
    assert chosen("roi < 0 or state = active", None).fits is True
    assert chosen("roi < 0 and state = paused", None).fits is False
    assert chosen("roi = none", None).fits is True


def test_amounts_of_another_currency_are_neither_more_nor_less() -> None:
    assert chosen("budget > 1 EUR").fits is None
    assert chosen("budget <= 1 EUR").fits is None


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("rio < 0", 0, "did you mean roi?"),
        ("state = actve", 8, "did you mean active?"),
        ("roi <", 5, "found the end"),
        ("", 0, "a field such as"),
        ("roi < 12x", 6, "an amount such as 12.50"),
        ("cvr < 2h", 6, "0.05 or 5%"),
        ("budget > 5%", 9, "an amount"),
        ("state < active", 6, "it is a text"),
        ("roi ~ 1", 4, "=, !=, <"),
        ("roi < 0 state = active", 8, "and, or, or the end"),
        ("(roi < 0", 8, "closing parenthesis"),
        ("id = 'a", 5, "the end of the quotes"),
        ("roi ! 0", 4, "found '!'"),
        ("state in active", 9, "a list such as"),
        ("state not active", 10, "in, found 'active'"),
        ("roi < none", 4, "before none"),
        ("roi < budget_micros", 6, "did you mean budget?"),
        ("roi < cvr", 6, "an amount, as the other side is"),
        ("and", 0, "a field such as"),
        ("label. = x", 0, "a field"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, at: int, words: str) -> None:
    with pytest.raises(WhereError) as caught:
        parse(text)
    assert words in caught.value.wanted
    assert caught.value.at == at
    assert str(caught.value).splitlines()[-1] == f"  {' ' * at}^"


WORDS = st.sampled_from(
    [
        *FIELDS,
        *"()=<>!~,",
        "and",
        "or",
        "not",
        "in",
        "5%",
        "12.50",
        "none",
        "'x y'",
        "-3",
        "€",
        "2h",
    ]
)


@given(st.lists(WORDS | st.text(max_size=4), max_size=12).map(" ".join))
def test_any_text_is_an_expression_or_a_mistake_and_nothing_worse(text: str) -> None:
    where = None
    with contextlib.suppress(WhereError):
        where = parse(text)
    for decision in (DECISION, None):
        if where is not None:
            assert choose(where, ONE, decision, None, START).fits in (True, False, None)


def test_a_campaign_never_decided_is_asked_for_what_is_known() -> None:
    paused = campaign(state=State.PAUSED)
    assert choose(parse("state = paused"), paused, None, None, START).fits is True
