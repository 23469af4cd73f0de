"""Figures as they travel to a browser: null for what is not known, letters for a trend."""

import math

import msgspec
import numpy as np

from engine.dashboard.columns import TREND, CampaignColumns
from engine.dashboard.rows import FIELDS, LEVELS, table_rows
from engine.domain.codec import encode_campaign
from support.dashboard import decide
from support.definitions import START, campaign


def row_of(columns: CampaignColumns, row: int = 0) -> dict[str, object]:
    (values,) = table_rows(columns, [row])
    return dict(zip(FIELDS, values, strict=True))


def test_what_is_not_known_is_null_and_never_nan() -> None:
    columns = CampaignColumns()
    columns.put(campaign("published"), revision=1, payload=encode_campaign(campaign("published")))
    columns.decide(decide({"campaign": "decided", "bids": {"x": (5, None, 0.0)}, "best": None}))
    columns.decide(decide({"campaign": "odd", "pacing": math.inf, "bids": {}}))
    encoded = msgspec.json.encode(table_rows(columns, [0, 1, 2]))
    assert b"NaN" not in encoded
    assert b"Infinity" not in encoded
    published = row_of(columns, 0)
    assert [published[name] for name in ("settled", "roi", "action", "binding", "at", "low")] == [
        None
    ] * 6
    decided = row_of(columns, 1)
    assert [decided[name] for name in ("state", "currency", "best", "roi", "starts")] == [None] * 5
    assert row_of(columns, 2)["pacing"] is None


def test_a_trend_is_letters_between_its_lowest_and_highest_value() -> None:
    columns = CampaignColumns()
    for step, roi in enumerate((10.0, 30.0, 20.0)):
        columns.decide(decide({"campaign": "a", "bids": {"x": (5, roi, 0.5)}}))
        columns.look(START + 5 * step)
    row = row_of(columns)
    trend = str(row["trend"])
    assert len(trend) == TREND
    assert trend[-3:] == "-" + LEVELS[-1] + LEVELS[0]  # the first look only begins
    assert (row["low"], row["high"]) == (20, 30)


def test_a_trend_that_stands_still_is_in_the_middle() -> None:
    columns = CampaignColumns()
    columns.decide(decide({"campaign": "a", "bids": {"x": (5, 7.0, 0.5)}}))
    for step in range(4):
        columns.look(START + 5 * step)
    trend = str(row_of(columns)["trend"])
    assert set(trend) == {"-", LEVELS[int(np.rint(0.5 * 61))]}


def test_no_rows_are_no_rows() -> None:
    assert table_rows(CampaignColumns(), []) == []
