"""Why a decision is what it is, in a sentence for people.

The code that machines read is `Decision.binding`, and `PlatformDecision.bound_by` for each bid.
"""

from collections.abc import Callable

from engine.domain.campaign import Definition
from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.domain.money import from_micros

__all__ = ["condition_words", "platform_sentence", "sentence"]


def sentence(decision: Decision, definition: Definition | None = None) -> str:
    """Return one plain sentence: what is done, what bound it, and the figures that show it.

    `definition` is the one in force, where it is known: it gives the figures of what was asked for.
    """
    return f"{_act(decision)}: {_REASONS[decision.binding](decision, definition)}."


def platform_sentence(one: PlatformDecision) -> str:
    """Return what bound the bid on one platform, in a few words; "" where nothing did."""
    return _PLATFORM_WORDS.get(one.bound_by, "")


def _act(decision: Decision) -> str:
    bids = [one for one in decision.platforms if one.bid_micros > 0]
    if decision.action is Action.HOLD or not bids:
        return "No bid"
    prices = ", ".join(f"{from_micros(one.bid_micros)} on {one.platform}" for one in bids)
    return f"Bids {prices}" if decision.action is Action.BID else f"Bids with caution {prices}"


def condition_words(one: PlatformDecision) -> str:
    """Return what the market is up to on one platform, in a word or two; "" where it is normal."""
    return "" if one.condition is None else _CONDITION_WORDS[one.condition]


_Reason = Callable[[Decision, Definition | None], str]


def _plain(text: str) -> _Reason:
    return lambda decision, definition: text


def _budget(decision: Decision, definition: Definition | None) -> str:
    spent = f"{_spent(decision.settled_micros)} is spent"
    if decision.reserved_micros:
        spent += f" and {_spent(decision.reserved_micros)} given out"
    if definition is None:
        return f"the budget leaves no more, {spent}"
    return f"the budget of {_money(definition.budget_micros, definition)} leaves no more, {spent}"


def _daily_cap(decision: Decision, definition: Definition | None) -> str:
    cap = None if definition is None else definition.guardrails.daily_cap_micros
    amount = "" if cap is None or definition is None else f" of {_money(cap, definition)}"
    zone = "" if definition is None else f" in {definition.timezone}"
    return f"the daily cap{amount} leaves no more until midnight{zone}"


def _account_cap(decision: Decision, definition: Definition | None) -> str:
    name = "" if definition is None or definition.account is None else f" {definition.account}"
    return (
        f"the account{name} leaves this partition's campaigns no more, or no share of its caps is "
        f"known here; {_spent(decision.settled_micros)} is spent by this one"
    )


def _bound(word: str, field: str) -> _Reason:
    def say(decision: Decision, definition: Definition | None) -> str:
        best = _best(decision)
        bound = "" if definition is None else _own_bound(definition, best, field)
        place = "" if best is None else f" on {best.platform}"
        return f"the {word}{bound} holds the bid{place}"

    return say


def _max_change(decision: Decision, definition: Definition | None) -> str:
    most = "" if definition is None else f" ({definition.guardrails.max_change:.0%})"
    return f"the bid moves by at most its largest change a round{most}"


def _daily_change(decision: Decision, definition: Definition | None) -> str:
    change = None if definition is None else definition.guardrails.max_daily_change
    most = "" if change is None else f" ({change:.0%})"
    return f"the bid has moved by its largest change of a day{most}"


def _hold_time(decision: Decision, definition: Definition | None) -> str:
    seconds = "" if definition is None else f" {definition.guardrails.hold_seconds:g} s"
    return f"the bid in force stays for its hold time{seconds}"


def _confidence(decision: Decision, definition: Definition | None) -> str:
    best = _best(decision)
    found = "" if best is None else f" of {best.confidence:.2f}"
    floor = "" if definition is None else f" {definition.guardrails.min_confidence:g}"
    return f"the forecast's confidence{found} is below the floor{floor}, so the bid does not rise"


def _pacing(decision: Decision, definition: Definition | None) -> str:
    return (
        f"pacing keeps spend on its plan, at {decision.pacing_multiplier:.2f} of what a click is "
        f"worth; {_spent(decision.settled_micros)} is spent"
    )


def _target_cpa(decision: Decision, definition: Definition | None) -> str:
    target = None if definition is None else definition.target_cpa_micros
    amount = "" if target is None or definition is None else f" of {_money(target, definition)}"
    return f"the target CPA{amount} allows no higher bid{_at_cvr(decision)}"


def _target_roas(decision: Decision, definition: Definition | None) -> str:
    target = None if definition is None else definition.target_roas
    ratio = "" if target is None else f" of {target:g}"
    return f"the target ROAS{ratio} allows no higher bid{_at_cvr(decision)}"


def _poor_roi(decision: Decision, definition: Definition | None) -> str:
    best = _best(decision)
    if best is None or best.roi_micros is None:
        return "every platform is forecast to lose money"
    return (
        f"every platform is forecast to lose money, the best of them {best.platform} with "
        f"{from_micros(round(best.roi_micros))} a click"
    )


def _target_reach(decision: Decision, definition: Definition | None) -> str:
    reach = None if definition is None else definition.target_reach
    return f"the target reach{'' if reach is None else f' of {reach:,} impressions'} is met"


def _thin(decision: Decision, definition: Definition | None) -> str:
    most = max((one.confidence for one in decision.platforms), default=0.0)
    return f"data are too thin to forecast from (confidence {most:.2f} at best), so it explores"


def _none(decision: Decision, definition: Definition | None) -> str:
    best = _best(decision)
    if best is None or best.roi_micros is None:
        return "no constraint binds"
    roi = from_micros(round(best.roi_micros))
    return f"no constraint binds; {best.platform} promises most, {roi} a click"


def _infeasible(decision: Decision, definition: Definition | None) -> str:
    """Say by how much the least bid, or the goal, would have to give way, at the best CVR known."""
    best = max(decision.platforms, key=lambda one: one.cvr or 0.0, default=None)
    if best is None or not best.cvr or definition is None:
        return (
            "min_bid is above what a click may cost for the goal on every platform: lower min_bid "
            "or relax the target"
        )
    value, cpa = definition.conversion_value_micros, definition.target_cpa_micros
    brings = None if value is None else value / (definition.target_roas or 1.0)
    worth = min(amount for amount in (brings, cpa) if amount is not None)
    own = definition.platforms.get(best.platform)
    low = definition.guardrails.min_bid_micros
    if own is not None:
        low = max(low, own.min_bid_micros or 0)
    goal = "target_cpa" if worth == cpa else "conversion_value"
    if worth != cpa and definition.target_roas is not None:
        goal = "conversion_value / target_roas"
    return (
        f"min_bid {from_micros(low)} is above the {from_micros(int(best.cvr * worth))} that a "
        f"click may cost for {goal} at the best CVR forecast ({best.cvr:.2%} on {best.platform}): "
        f"lower min_bid to that, or raise {goal} to {from_micros(-int(-low // best.cvr))}"
    )


_REASONS: dict[Binding, _Reason] = {
    Binding.NONE: _none,
    Binding.NOT_ACTIVE: _plain("the campaign is not active"),
    Binding.NOT_STARTED: _plain("its flight has not begun"),
    Binding.FLIGHT_OVER: _plain("its flight is over"),
    Binding.BUDGET: _budget,
    Binding.DAILY_CAP: _daily_cap,
    Binding.MIN_BID: _bound("least bid", "min_bid_micros"),
    Binding.MAX_BID: _bound("highest bid", "max_bid_micros"),
    Binding.MAX_CHANGE: _max_change,
    Binding.PACING: _pacing,
    Binding.TARGET_CPA: _target_cpa,
    Binding.TARGET_ROAS: _target_roas,
    Binding.THIN_DATA: _thin,
    Binding.STALE_DATA: _plain(
        "nothing has been reported for so long that forecasts mean little; caps stay as they are"
    ),
    Binding.POOR_ROI: _poor_roi,
    Binding.TARGET_REACH: _target_reach,
    Binding.ACCOUNT_CAP: _account_cap,
    Binding.DAY_PART: _plain("this hour of the week is blocked"),
    Binding.BLOCKED: _plain("all its platforms are blocked"),
    Binding.HOLD_TIME: _hold_time,
    Binding.CONFIDENCE: _confidence,
    Binding.HALTED: _plain("the kill switch is on, for the fleet or for its account"),
    Binding.DAILY_CHANGE: _daily_change,
    Binding.INFEASIBLE: _infeasible,
    Binding.DROPPED: _plain("the campaign names the platform no more"),
}

_CONDITION_WORDS: dict[Condition, str] = {
    Condition.NORMAL: "",
    Condition.RISING: "CPC rising",
    Condition.FALLING: "CPC falling",
    Condition.VOLATILE: "volatile",
    Condition.THIN: "thin data",
}

_PLATFORM_WORDS: dict[Binding, str] = {
    Binding.DAILY_CAP: "daily cap",
    Binding.MIN_BID: "least bid",
    Binding.MAX_BID: "highest bid",
    Binding.MAX_CHANGE: "largest change a round",
    Binding.DAILY_CHANGE: "largest change a day",
    Binding.HOLD_TIME: "hold time",
    Binding.CONFIDENCE: "confidence",
    Binding.BLOCKED: "blocked",
    Binding.POOR_ROI: "forecast to lose money",
    Binding.PACING: "pacing",
    Binding.BUDGET: "budget",
    Binding.ACCOUNT_CAP: "account cap",
    Binding.DROPPED: "dropped by the campaign",
}


def _best(decision: Decision) -> PlatformDecision | None:
    for one in decision.platforms:
        if one.platform == decision.best_platform:
            return one
    return None


def _own_bound(definition: Definition, best: PlatformDecision | None, field: str) -> str:
    own = None if best is None else definition.platforms.get(best.platform)
    bounds = [getattr(definition.guardrails, field), own and getattr(own, field)]
    given = [bound for bound in bounds if bound]
    if not given:
        return ""
    tightest = max(given) if field == "min_bid_micros" else min(given)
    return f" of {_money(tightest, definition)}"


def _at_cvr(decision: Decision) -> str:
    best = _best(decision)
    return "" if best is None or best.cvr is None else f" at a CVR of {best.cvr:.2%}"


def _money(micros: int, definition: Definition) -> str:
    return f"{from_micros(micros)} {definition.currency}"


def _spent(micros: int) -> str:
    """Return what was spent to the cent: clicks have prices of more digits, and nobody reads them.

    >>> _spent(740_615_993), _spent(4_999)
    ('740.62', '0.00')
    """
    return from_micros(round(micros, -4))
