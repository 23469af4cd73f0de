"""What Meta says when it says no, and what the gateway is told."""

import json

import pytest

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.http import Answer
from engine.platforms.meta.changes import outcome_of
from engine.platforms.meta.errors import platform_error
from engine.platforms.port import Lever, Result, Target
from support.platforms import mutation

MOVE = mutation(Target("act_1", "adsets/1"), Lever.DAILY_BUDGET, 1_000_000)


def told(code: int, headers: dict[str, str] | None = None, **more: object) -> Answer:
    error = {"code": code, "message": "No.", "fbtrace_id": "Axyz", **more}
    return Answer(status=400, headers=headers or {}, body={"error": error})


def usage(*minutes: int) -> dict[str, str]:
    uses = [{"type": "ads_management", "estimated_time_to_regain_access": m} for m in minutes]
    return {"x-business-use-case-usage": json.dumps({"123": uses})}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, PlatformThrottledError) for code in (4, 17, 32, 613, 80_000, 80_004, 80_014)),
        *((code, PlatformCredentialsError) for code in (10, 102, 190, 200, 294, 2500)),
        *((code, PlatformUnavailableError) for code in (1, 2)),
        *((code, PlatformRejectedError) for code in (100, 2635, 80_015, 368)),
    ],
)
def test_the_code_decides(code: int, expected: type[PlatformError]) -> None:
    error = platform_error(told(code))
    assert type(error) is expected
    assert error.code == str(code)
    assert "Axyz" in error.reason, "Meta's support asks for the trace"


@pytest.mark.parametrize(
    ("headers", "expected", "wait"),
    [
        ({}, PlatformThrottledError, None),
        (usage(0), PlatformThrottledError, None),
        (usage(2, 5), PlatformThrottledError, 300.0),
        (usage(29), PlatformThrottledError, 1740.0),
        (usage(30), PlatformQuotaError, 1800.0),
        ({"x-ad-account-usage": '{"reset_time_duration": 90}'}, PlatformThrottledError, 90.0),
        ({"x-business-use-case-usage": "{"}, PlatformThrottledError, None),
        ({"x-business-use-case-usage": "[1]", "retry-after": "7"}, PlatformThrottledError, 7.0),
    ],
)
def test_how_long_to_wait_is_in_the_headers_and_an_hours_wait_is_a_quota(
    headers: dict[str, str], expected: type[PlatformError], wait: float | None
) -> None:
    error = platform_error(told(80_004, headers))
    assert type(error) is expected
    assert isinstance(error, PlatformThrottledError)
    assert error.retry_after_s == wait


def test_a_strange_error_that_is_transient_may_do_later() -> None:
    assert type(platform_error(told(4711))) is PlatformRejectedError
    assert type(platform_error(told(4711, is_transient=True))) is PlatformUnavailableError


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, PlatformUnavailableError),
        (400, PlatformRejectedError),
        (401, PlatformCredentialsError),
        (403, PlatformCredentialsError),
        (408, PlatformUnavailableError),
        (429, PlatformThrottledError),
        (500, PlatformUnavailableError),
        (503, PlatformUnavailableError),
    ],
)
def test_an_answer_without_an_error_of_metas_is_told_by_its_status(
    status: int, expected: type[PlatformError]
) -> None:
    assert type(platform_error(Answer(status=status, headers={}, body=None))) is expected


def test_one_ad_sets_budget_that_changed_too_often_is_its_own_affair() -> None:
    outcome = outcome_of(MOVE, told(613, error_subcode=1_487_632))
    assert (outcome.result, outcome.code) == (Result.FAILED, "613.1487632")
    with pytest.raises(PlatformThrottledError):
        outcome_of(MOVE, told(613, error_subcode=1_487_742))


def test_a_change_without_an_answer_is_one_that_nobody_knows_of() -> None:
    with pytest.raises(PlatformUnavailableError):
        outcome_of(MOVE, None)
    with pytest.raises(PlatformUnavailableError):
        outcome_of(MOVE, told(2))


def test_what_is_refused_for_good_says_why() -> None:
    outcome = outcome_of(MOVE, told(100, error_user_msg="Your budget is\n too low"))
    assert outcome.result is Result.REJECTED
    assert outcome.reason == "Your budget is too low [trace Axyz]"
