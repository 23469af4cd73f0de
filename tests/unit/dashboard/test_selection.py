"""Which campaigns a view holds, and in which order."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from engine.dashboard.columns import CampaignColumns
from engine.dashboard.query import SORTS, parse_query
from engine.dashboard.selection import select, top
from engine.domain.codec import encode_campaign
from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.errors import ConfigError
from support.dashboard import decide
from support.definitions import DAY, START, campaign

NOON = START + DAY / 2


def fleet() -> CampaignColumns:
    """Four campaigns of 100.00 for a day, and one that was decided for and never published."""
    columns = CampaignColumns()
    told: list[tuple[str, State, dict[str, Any]]] = [
        ("delta", State.ACTIVE, {"name": "Spring shoes"}),
        ("alpha", State.PAUSED, {"labels": {"team": "north"}}),
        ("charlie", State.ACTIVE, {"account": "acme"}),
        ("bravo", State.SCHEDULED, {}),
    ]
    for revision, (name, state, fields) in enumerate(told, 1):
        one = campaign(name, state=state, **fields)
        columns.put(one, revision=revision, payload=encode_campaign(one))
    bids = {"google": (500, 20.0, 0.5), "tiktok": (700, 90.0, 0.9)}
    columns.decide(decide({"campaign": "delta", "settled": 60_000_000, "binding": Binding.BUDGET}))
    columns.decide(decide({"campaign": "charlie", "settled": 10_000_000, "bids": bids}))
    columns.decide(decide({"campaign": "echo", "settled": 30_000_000, "bids": bids}))
    return columns


def names(**asked: str) -> list[str]:
    columns = fleet()
    query = parse_query(asked)
    selection = select(columns, query, at=NOON)
    return [columns.names[row] for row in selection.window(query.offset, query.limit)]


def test_the_largest_spend_comes_first_and_what_is_not_known_last() -> None:
    assert names() == ["delta", "echo", "charlie", "alpha", "bravo"]
    assert names(sort="spend") == ["charlie", "echo", "delta", "alpha", "bravo"]


@pytest.mark.parametrize("sort", SORTS)
def test_every_column_sorts_both_ways_and_loses_nobody(sort: str) -> None:
    everybody = sorted(names())
    assert sorted(names(sort=sort)) == sorted(names(sort=f"-{sort}")) == everybody


def test_a_window_is_a_part_of_the_whole() -> None:
    whole = names(sort="campaign")
    assert whole == sorted(whole)
    assert names(sort="campaign", offset="1", limit="2") == whole[1:3]
    assert names(sort="campaign", offset="9") == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "active"}, ["delta", "charlie"]),
        ({"state": "active,paused"}, ["delta", "charlie", "alpha"]),
        ({"state": "!active"}, ["echo", "alpha", "bravo"]),
        ({"platform": "tiktok"}, ["echo", "charlie"]),
        ({"platform": "!tiktok"}, ["delta", "alpha", "bravo"]),
        ({"platform": "nowhere"}, []),
        ({"binding": "budget"}, ["delta"]),
        ({"binding": "!budget", "state": "active"}, ["charlie"]),
        ({"action": "bid"}, ["delta", "echo", "charlie"]),
        ({"q": "SHOES"}, ["delta"]),
        ({"q": "north"}, ["alpha"]),
        ({"q": "acme"}, ["charlie"]),
        ({"q": "a -alpha -acme"}, ["delta", "bravo"]),
        ({"q": "nothing like it"}, []),
    ],
)
def test_filters_take_and_leave_out(asked: dict[str, str], found: list[str]) -> None:
    assert names(**asked) == found


def test_an_echo_of_a_campaign_that_was_never_published_is_shown_without_a_state() -> None:
    assert "echo" in names(state="!paused")
    assert "echo" not in names(state="active")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"sort": "size"}, "sort: one of"),
        ({"state": "running"}, "state: one of"),
        ({"binding": "x"}, "binding: one of"),
        ({"limit": "201"}, "limit: a whole number from 0 to 200"),
        ({"offset": "-1"}, "offset: a whole number"),
        ({"offset": "٣"}, "offset: a whole number"),
        ({"q": "x" * 300}, "q: up to 200"),
    ],
)
def test_a_view_that_makes_no_sense_is_refused_in_words(asked: dict[str, str], what: str) -> None:
    with pytest.raises(ConfigError, match=f"^{what}"):
        parse_query(asked)


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, -1.0, float("nan"), float("inf")]), max_size=80),
    st.integers(0, 40),
)
def test_the_top_of_a_column_is_the_beginning_of_its_sort(keys: list[float], count: int) -> None:
    column = np.array(keys, float)
    wanted = np.argsort(column, kind="stable")[:count]
    assert top(column, count).tolist() == wanted.tolist()


def test_a_column_that_is_mostly_unknown_still_has_a_whole_top() -> None:
    keys = np.full(40, np.nan)
    keys[17] = 3.0
    assert top(keys, 3).tolist() == [17, 0, 1]
