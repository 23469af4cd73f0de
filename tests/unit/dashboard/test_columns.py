"""Campaigns as columns: the newest of each, as the records have it."""

import numpy as np
import pytest

from engine.dashboard.columns import TREND, TREND_SECONDS, CampaignColumns
from engine.domain.campaign import PlatformBounds
from engine.domain.codec import encode_campaign
from engine.domain.decision import Action, Binding
from engine.domain.lifecycle import State
from engine.messaging.records import Keep, decisions_of
from engine.reports.plan import planned_micros
from support.dashboard import decide
from support.definitions import DAY, START, campaign, names_in


def columns_with(*names: str) -> CampaignColumns:
    columns = CampaignColumns()
    for revision, name in enumerate(names, 1):
        one = campaign(name)
        columns.put(one, revision=revision, payload=encode_campaign(one))
    return columns


def test_a_decision_comes_back_as_the_record_has_it() -> None:
    names = names_in(7, 3)
    record = decide(
        {"campaign": names[0], "binding": Binding.MAX_BID},
        {"campaign": names[1], "bids": {"x": (7, None, 0.0)}, "best": None, "action": Action.HOLD},
        {"campaign": names[2], "bids": {}},
        round=4,
        epoch=3,
    )  # fmt: skip
    columns = columns_with(names[1])
    columns.decide(record)
    for wanted in decisions_of(record):
        assert columns.decision(columns.row_of[wanted.campaign]) == wanted


def test_a_campaign_nobody_decided_for_has_no_decision() -> None:
    assert columns_with("a").decision(0) is None


def test_the_newest_decision_replaces_all_of_the_one_before() -> None:
    columns = CampaignColumns()
    columns.decide(decide({"campaign": "a"}))
    record = decide({"campaign": "a", "bids": {"tiktok": (9, 1.0, 0.5)}}, round=2)
    columns.decide(record)
    assert columns.decision(0) == decisions_of(record)[0]


def test_more_platforms_and_campaigns_than_there_was_room_for_keep_their_figures() -> None:
    columns = CampaignColumns()
    count, wide = 1_000, 9
    for i in range(count):
        bids = {f"p{j}": (1000 * i + j + 1, 1.0, 0.5) for j in range(i % wide + 1)}
        columns.decide(decide({"campaign": f"c{i}", "bids": bids}))
    assert len(columns) == count
    for i in (0, 255, 256, 999):
        decision = columns.decision(i)
        assert decision is not None
        assert [one.bid_micros for one in decision.platforms] == [
            1000 * i + j + 1 for j in range(i % wide + 1)
        ]


def test_the_plan_is_the_reports_plan() -> None:
    columns = columns_with("a", "b")
    for at in (START - 1, START, START + 0.3 * DAY, START + 2 * DAY):
        wanted = planned_micros(campaign("a").definition, at)
        assert columns.planned(at).tolist() == [wanted, wanted]


def test_a_record_of_the_ledger_raises_what_was_spent_and_decides_nothing() -> None:
    columns = columns_with("a")
    keep = Keep(
        partition=1, previous=1, epoch=1, owner="w", at_ms=1, round=1, metrics_sequence=1,
        campaigns_revision=1, campaign=["a"], settled_micros=[77], reserved_micros=[5],
    )  # fmt: skip
    columns.keep(keep)
    assert columns.column("settled_micros").tolist() == [77]
    assert columns.decision(0) is None


def test_a_trend_has_a_point_for_each_stretch_and_gaps_where_nothing_was_known() -> None:
    columns = columns_with("a")
    columns.look(START)
    columns.look(START + TREND_SECONDS)
    columns.decide(decide({"campaign": "a", "bids": {"google": (5, 100.0, 0.5)}}))
    columns.look(START + 2 * TREND_SECONDS)
    columns.look(START + 2.5 * TREND_SECONDS)  # too early for another
    assert np.isnan(columns.trend[0, :-1]).all()
    assert columns.trend[0, -1] == 100.0
    columns.look(START + 1000 * TREND_SECONDS)
    assert columns.trend[0].tolist() == [100.0] * TREND


@pytest.mark.parametrize("state", State)
def test_an_entry_says_state_money_and_where_it_may_bid(state: State) -> None:
    columns = CampaignColumns()
    one = campaign("a", state=state, currency="EUR", platforms={"x": PlatformBounds()})
    columns.put(one, revision=5, payload=b"p")
    assert columns.currencies == ["EUR"]
    assert columns.revisions == [5]
    assert columns.series("is_named").tolist() == [[True]]
    assert tuple(State)[columns.column("state")[0]] is state
