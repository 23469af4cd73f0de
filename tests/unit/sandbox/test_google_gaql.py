"""The query language that is understood, and Google's words for what is not."""

from datetime import date

import pytest
from google.ads.googleads.v26.errors.types.query_error import QueryErrorEnum

from engine.platforms.google import queries
from engine.sandbox.google.failures import Refused
from engine.sandbox.google.gaql import Condition, parse

CODES = QueryErrorEnum.QueryError


def test_a_question_is_read() -> None:
    query = parse(
        "SELECT campaign.id , campaign.status\nFROM campaign"
        " WHERE campaign.id IN (1, 2) AND campaign.status != 'REMOVED'"
    )
    assert query.fields == ("campaign.id", "campaign.status")
    assert query.resource == "campaign"
    assert query.conditions == (
        Condition("campaign.id", "IN", ("1", "2")),
        Condition("campaign.status", "NOT IN", ("REMOVED",)),
    )


def test_every_question_that_the_adapter_asks_is_understood() -> None:
    day = date(2026, 6, 3)
    asked = [queries.CLIENTS, queries.TIME_ZONE, *queries.ad_groups_of(["1"])]
    asked += [query for kind in queries.KINDS for query in queries.of_entities(kind, ["1", "2"])]
    asked += [queries.hourly(resource, day, day) for resource in ("campaign", "ad_group")]
    for query in asked:
        parse(query)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "EXPECTED_SELECT"),
        ("FROM campaign", "EXPECTED_SELECT"),
        ("SELECT", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT FROM campaign", "BAD_FIELD_NAME"),
        ("SELECT campaign.id", "EXPECTED_FROM"),
        ("SELECT campaign.id FROM", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT campaign.id FROM campaigns", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT campaign.named FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT campaign FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT campaign.target_cpa FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT campaign.id.x FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT nothing.id FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT ad_group.id FROM campaign", "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE"),
        ("SELECT campaign_budget.id FROM ad_group", "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE"),
        ("SELECT campaign.id FROM campaign LIMIT 5", "UNEXPECTED_INPUT"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id > 5", "BAD_SYMBOL"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id LIKE 5", "BAD_OPERATOR"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id = 5 OR 6", "EXPECTED_AND"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id IN 5", "EXPECTED_LIST"),
        (
            "SELECT campaign.id FROM campaign WHERE campaign.id IN ()",
            "PROHIBITED_EMPTY_LIST_IN_CONDITION",
        ),
        ("SELECT campaign.id FROM campaign WHERE campaign.status = 'OFF'", "BAD_ENUM_CONSTANT"),
        ("SELECT metrics.clicks, segments.hour FROM campaign", "EXPECTED_FILTERS_ON_DATE_RANGE"),
        (
            "SELECT metrics.clicks FROM campaign"
            " WHERE segments.date BETWEEN '3 June' AND '2026-06-04'",
            "INVALID_DATE_FORMAT",
        ),
        (
            "SELECT metrics.clicks FROM campaign"
            " WHERE segments.date BETWEEN '2026-06-05' AND '2026-06-04'",
            "DATE_RANGE_TOO_NARROW",
        ),
        (
            "SELECT metrics.clicks FROM campaign WHERE segments.date BETWEEN '2026-06-05'",
            "EXPECTED_VALUE_WITH_BETWEEN_OPERATOR",
        ),
    ],
)
def test_what_is_no_question_is_refused_in_googles_words(query: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(query)
    [error] = caught.value.errors
    assert CODES(error.error_code.query_error).name == code
