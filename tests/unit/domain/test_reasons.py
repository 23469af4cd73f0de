"""Every decision in one sentence with the figures that made it."""

import msgspec
import pytest

from engine.domain.campaign import Guardrails
from engine.domain.decision import Action, Binding, Decision, PlatformDecision
from engine.domain.reasons import platform_sentence, sentence
from support.definitions import definition


def decision(
    binding: Binding, action: Action = Action.BID, bound_by: Binding = Binding.NONE
) -> Decision:
    bid = 0 if action is Action.HOLD else 420_000
    google = PlatformDecision("google", bid, 5_000_000, 300_000.0, 0.031, 320_000.0, 0.7, bound_by)
    meta = PlatformDecision("meta", 0, 0, None, None, None, 0.0, Binding.BLOCKED)
    return Decision(
        "a", 1, 1, 2, 1.79e9, action, binding, "google", 0.8, 12_000_000, 3_000_000, (google, meta)
    )


@pytest.mark.parametrize("binding", list(Binding))
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("is_known", [True, False])
def test_every_decision_has_one_sentence(binding: Binding, action: Action, is_known: bool) -> None:
    given = definition(target_cpa_micros=20_000_000) if is_known else None
    found = sentence(decision(binding, action), given)
    assert found.endswith(".")
    assert "\n" not in found
    assert "None" not in found
    assert found.startswith("No bid: " if action is Action.HOLD else "Bids ")
    empty = msgspec.structs.replace(decision(binding, action), platforms=(), best_platform=None)
    assert sentence(empty, given).endswith(".")


def test_no_two_bindings_say_the_same() -> None:
    found = {sentence(decision(binding), definition()) for binding in Binding}
    assert len(found) == len(Binding)


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        (Binding.BUDGET, "the budget of 100.00 USD leaves no more, 12.00 is spent and 3.00 given"),
        (Binding.DAILY_CAP, "the daily cap of 30.00 USD leaves no more until midnight in UTC"),
        (Binding.MIN_BID, "the least bid of 0.01 USD holds the bid on google"),
        (Binding.MAX_CHANGE, "its largest change a round (50%)"),
        (Binding.HOLD_TIME, "its hold time 90 s"),
        (Binding.CONFIDENCE, "confidence of 0.70 is below the floor 0.9"),
        (Binding.PACING, "at 0.80 of what a click is worth"),
        (Binding.TARGET_CPA, "the target CPA of 20.00 USD allows no higher bid at a CVR of 3.10%"),
        (Binding.NONE, "google promises most, 0.32 a click"),
    ],
)
def test_a_sentence_names_the_figures(binding: Binding, words: str) -> None:
    rails = Guardrails(daily_cap_micros=30_000_000, hold_seconds=90, min_confidence=0.9)
    given = definition(target_cpa_micros=20_000_000, guardrails=rails)
    assert words in sentence(decision(binding), given)


def test_what_cannot_hold_together_says_which_to_relax_and_how_far() -> None:
    given = definition(
        target_cpa_micros=20_000_000, guardrails=Guardrails(min_bid_micros=2_000_000)
    )
    found = sentence(decision(Binding.INFEASIBLE, Action.FALLBACK), given)
    assert "min_bid 2.00 is above the 0.62 that a click may cost for target_cpa" in found
    assert "lower min_bid to that, or raise target_cpa to 64.51613" in found


def test_what_bound_a_platform_is_said_in_a_few_words() -> None:
    google, meta = decision(Binding.NONE, bound_by=Binding.HOLD_TIME).platforms
    assert (platform_sentence(google), platform_sentence(meta)) == ("hold time", "blocked")
    assert platform_sentence(decision(Binding.NONE).platforms[0]) == ""


@pytest.mark.parametrize("binding", [Binding.BUDGET, Binding.PACING, Binding.ACCOUNT_CAP])
def test_what_is_spent_is_told_to_the_cent(binding: Binding) -> None:
    spent = msgspec.structs.replace(
        decision(binding), settled_micros=740_615_993, reserved_micros=3_001_999
    )
    found = sentence(spent, definition())
    assert "740.62 is spent" in found
