"""What TikTok says when it says no, and what the gateway is told."""

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
from engine.platforms.tiktok.errors import is_good, platform_error

NOON = 1_700_000_000.0 // 86_400 * 86_400 + 43_200


def told(code: object, message: str = "No.", headers: dict[str, str] | None = None) -> Answer:
    body = {"code": code, "message": message, "request_id": "2026x", "data": {}}
    return Answer(status=200, headers=headers or {}, body=body)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (40_001, PlatformCredentialsError),
        (40_002, PlatformRejectedError),
        (40_007, PlatformRejectedError),
        (40_016, PlatformThrottledError),
        (40_100, PlatformThrottledError),
        (40_101, PlatformCredentialsError),
        (40_102, PlatformCredentialsError),
        (40_105, PlatformCredentialsError),
        (40_202, PlatformUnavailableError),
        (50_000, PlatformUnavailableError),
        (51_010, PlatformUnavailableError),
        (60_001, PlatformUnavailableError),
    ],
)
def test_the_code_in_the_body_decides(code: int, expected: type[PlatformError]) -> None:
    error = platform_error(told(code), now=NOON)
    assert type(error) is expected
    assert error.code == str(code)
    assert "2026x" in error.reason, "TikTok's support asks for the request"


def test_of_a_delay_that_is_not_named_nothing_is_made_up() -> None:
    error = platform_error(told(40_100, "Too many requests."), now=NOON)
    assert isinstance(error, PlatformThrottledError)
    assert error.retry_after_s is None
    named = platform_error(told(40_100, headers={"retry-after": "30"}), now=NOON)
    assert isinstance(named, PlatformThrottledError)
    assert named.retry_after_s == 30.0


@pytest.mark.parametrize("said", ["The daily limit is reached", "QPD limit", "limit per day"])
def test_a_days_quota_comes_back_at_midnight_utc(said: str) -> None:
    error = platform_error(told(40_100, said), now=NOON)
    assert type(error) is PlatformQuotaError
    assert error.retry_after_s == 43_200.0


@pytest.mark.parametrize("body", [None, [], {}, {"code": "0"}, {"code": None}])
def test_an_answer_without_a_code_is_not_taken_for_a_good_one(body: object) -> None:
    answer = Answer(status=200, headers={}, body=body)
    assert not is_good(answer)
    assert type(platform_error(answer, now=NOON)) is PlatformUnavailableError


def test_zero_is_good_but_not_under_a_bad_status() -> None:
    good = told(0)
    assert is_good(good)
    bad = Answer(status=502, headers={}, body=good.body)
    assert not is_good(bad)
    assert type(platform_error(bad, now=NOON)) is PlatformUnavailableError
