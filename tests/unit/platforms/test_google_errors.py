"""What Google says when it says no, and what the gateway is told."""

import grpc
import pytest
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.api_core.exceptions import from_grpc_error
from google.rpc import status_pb2
from grpc.aio import AioRpcError, Metadata

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.google.errors import platform_error, refusals

KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
CODE = grpc.StatusCode


def failure(*errors: tuple[str, str], delay_s: float | None = None, message: str = "No.") -> bytes:
    found = GoogleAdsFailure.pb()()
    for category, value in errors:
        error = found.errors.add(message=message)
        enum = error.error_code.DESCRIPTOR.fields_by_name[category].enum_type
        setattr(error.error_code, category, enum.values_by_name[value].number)
        if delay_s is not None:
            delay = error.details.quota_error_details.retry_delay
            delay.seconds, delay.nanos = int(delay_s), int(delay_s % 1 * 1e9)
    return bytes(found.SerializeToString())


def told(status: grpc.StatusCode, payload: bytes | None, details: str = "said") -> PlatformError:
    trailing = [("request-id", "abc")] + ([(KEY, payload)] if payload is not None else [])
    raw = AioRpcError(status, Metadata(), Metadata(*trailing), details=details)
    translated, untranslated = platform_error(from_grpc_error(raw)), platform_error(raw)
    assert type(translated) is type(untranslated)
    assert str(translated) == str(untranslated)
    assert "abc" in str(translated), "Google's support asks for the request id"
    return translated


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (CODE.UNAVAILABLE, PlatformUnavailableError),
        (CODE.DEADLINE_EXCEEDED, PlatformUnavailableError),
        (CODE.INTERNAL, PlatformUnavailableError),
        (CODE.UNKNOWN, PlatformUnavailableError),
        (CODE.ABORTED, PlatformUnavailableError),
        (CODE.CANCELLED, PlatformUnavailableError),
        (CODE.UNAUTHENTICATED, PlatformCredentialsError),
        (CODE.PERMISSION_DENIED, PlatformCredentialsError),
        (CODE.RESOURCE_EXHAUSTED, PlatformThrottledError),
        (CODE.INVALID_ARGUMENT, PlatformRejectedError),
        (CODE.NOT_FOUND, PlatformRejectedError),
        (CODE.UNIMPLEMENTED, PlatformRejectedError),
    ],
)
def test_a_bare_status_says_enough(status: grpc.StatusCode, expected: type[PlatformError]) -> None:
    error = told(status, None)
    assert type(error) is expected
    assert error.code == status.name


@pytest.mark.parametrize(
    ("category", "value", "expected"),
    [
        ("authentication_error", "OAUTH_TOKEN_EXPIRED", PlatformCredentialsError),
        ("authentication_error", "CUSTOMER_NOT_FOUND", PlatformRejectedError),
        ("authorization_error", "USER_PERMISSION_DENIED", PlatformCredentialsError),
        (
            "authorization_error",
            "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
            PlatformCredentialsError,
        ),
        ("header_error", "INVALID_LOGIN_CUSTOMER_ID", PlatformCredentialsError),
        ("internal_error", "TRANSIENT_ERROR", PlatformUnavailableError),
        ("database_error", "CONCURRENT_MODIFICATION", PlatformUnavailableError),
        ("request_error", "TOO_MANY_MUTATE_OPERATIONS", PlatformRejectedError),
        ("query_error", "UNRECOGNIZED_FIELD", PlatformRejectedError),
        ("quota_error", "ACCESS_PROHIBITED", PlatformCredentialsError),
    ],
)
def test_googles_own_error_goes_before_the_status(
    category: str, value: str, expected: type[PlatformError]
) -> None:
    error = told(CODE.INVALID_ARGUMENT, failure((category, value)))
    assert type(error) is expected
    assert error.code == f"{category}.{value}"


@pytest.mark.parametrize(
    ("value", "delay_s", "message", "expected", "wait"),
    [
        ("RESOURCE_TEMPORARILY_EXHAUSTED", 12.5, "", PlatformThrottledError, 12.5),
        ("RESOURCE_TEMPORARILY_EXHAUSTED", None, "", PlatformThrottledError, None),
        ("EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION", 5, "", PlatformThrottledError, 5),
        ("EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION", None, "", PlatformQuotaError, None),
        ("RESOURCE_EXHAUSTED", 40_000, "", PlatformQuotaError, 40_000),
        ("RESOURCE_EXHAUSTED", 30, "", PlatformThrottledError, 30),
        ("RESOURCE_EXHAUSTED", None, "", PlatformQuotaError, None),
        ("RESOURCE_EXHAUSTED", None, "Retry in 33 seconds.", PlatformThrottledError, 33),
        ("RESOURCE_EXHAUSTED", None, "Retry in 56432 seconds.", PlatformQuotaError, 56_432),
    ],
)
def test_short_exhaustion_is_told_from_a_days(
    value: str, delay_s: float | None, message: str, expected: type[PlatformError], wait: float
) -> None:
    payload = failure(("quota_error", value), delay_s=delay_s, message=message)
    error = told(CODE.RESOURCE_EXHAUSTED, payload)
    assert type(error) is expected
    assert isinstance(error, PlatformThrottledError)
    assert error.retry_after_s == wait


def test_of_several_errors_the_gravest_decides() -> None:
    payload = failure(("range_error", "TOO_LOW"), ("quota_error", "RESOURCE_EXHAUSTED"))
    assert type(told(CODE.INVALID_ARGUMENT, payload)) is PlatformQuotaError


def test_a_failure_that_cannot_be_read_leaves_the_outcome_unknown() -> None:
    assert type(told(CODE.INVALID_ARGUMENT, b"\xff\xff")) is PlatformUnavailableError


def test_a_value_that_this_version_does_not_know_is_shown_by_its_number() -> None:
    found = GoogleAdsFailure.pb()()
    found.errors.add(message="New.").error_code.quota_error = 9_999
    error = told(CODE.INVALID_ARGUMENT, found.SerializeToString())
    assert error.code == "quota_error.9999"


def test_a_batch_that_failed_in_part_without_saying_where_is_not_taken_for_applied() -> None:
    assert refusals(status_pb2.Status()) == []
    with pytest.raises(PlatformUnavailableError, match="found status 3 alone"):
        refusals(status_pb2.Status(code=3, message="Multiple errors"))
