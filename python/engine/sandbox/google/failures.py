"""How Google says no: GoogleAdsFailure in the trailing metadata of a status."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.ads.googleads.v26.errors.types import errors as messages

from engine.sandbox.faults import Fault, Trouble
from engine.sandbox.quotas import Refusal

__all__ = ["FAILURE_KEY", "Refused", "error_of", "failure_of", "of_quota", "of_trouble"]

FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
_Error = messages.GoogleAdsError.pb()
_Failure = messages.GoogleAdsFailure.pb()
_ACCOUNT, _DEVELOPER = 2, 3  # scopes of a quota


class Refused(Exception):  # noqa: N818 # an answer, not a failure of the sandbox
    """A call that is refused as a whole."""

    def __init__(self, status: grpc.StatusCode, *errors: Any, message: str = "") -> None:
        super().__init__(message or "; ".join(error.message for error in errors))
        self.status = status
        self.errors = errors


def error_of(
    category: str, value: str, message: str, *, operation: int | None = None, path: str = ""
) -> Any:
    """Return an error, such as quota_error RESOURCE_EXHAUSTED, of an operation and its field."""
    error = _Error(message=message)
    enum = error.error_code.DESCRIPTOR.fields_by_name[category].enum_type
    setattr(error.error_code, category, enum.values_by_name[value].number)
    if operation is not None:
        error.location.field_path_elements.add(field_name="operations", index=operation)
        error.location.field_path_elements.add(field_name="update")
    for name in path.split(".") if path else ():
        error.location.field_path_elements.add(field_name=name)
    return error


def failure_of(errors: Sequence[Any], request_id: str) -> Any:
    """Return the message that holds errors."""
    return _Failure(errors=errors, request_id=request_id)


def of_quota(refusal: Refusal) -> Refused:
    """Return what Google says of a quota that is used up."""
    value = "RESOURCE_EXHAUSTED" if refusal.is_of_the_day else "RESOURCE_TEMPORARILY_EXHAUSTED"
    seconds = max(1, round(refusal.retry_after_s + 0.5))
    error = error_of("quota_error", value, f"Too many requests. Retry in {seconds} seconds.")
    details = error.details.quota_error_details
    details.rate_scope = _DEVELOPER if refusal.is_of_the_day else _ACCOUNT
    details.rate_name = "Number of operations" if refusal.is_of_the_day else "Requests per account"
    details.retry_delay.seconds = seconds
    return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, error)


def of_trouble(fault: Fault) -> Refused:
    """Return what Google says in a planned trouble."""
    match fault.trouble:
        case Trouble.LOST_ANSWER | Trouble.BROKEN_OFF:
            return Refused(grpc.StatusCode.UNAVAILABLE, message="Connection reset by peer")
        case Trouble.THROTTLED | Trouble.QUOTA:
            is_of_the_day = fault.trouble is Trouble.QUOTA
            delay = fault.retry_after_s
            if delay is None:
                delay = 40_000.0 if is_of_the_day else 30.0
            return of_quota(Refusal(is_of_the_day, delay - 0.5))
        case Trouble.DENIED:
            return _denied()
        case Trouble.EXPIRED:
            said = "OAuth token in the header has expired."
            error = error_of("authentication_error", "OAUTH_TOKEN_EXPIRED", said)
            return Refused(grpc.StatusCode.UNAUTHENTICATED, error)
        case Trouble.CONFLICT:
            said = "Multiple requests were attempting to modify the same resource at once."
            error = error_of("database_error", "CONCURRENT_MODIFICATION", said)
            return Refused(grpc.StatusCode.ABORTED, error)
        case _:
            return Refused(grpc.StatusCode.UNAVAILABLE, message="The service is unavailable.")


def _denied() -> Refused:
    said = "User doesn't have permission to access customer."
    error = error_of("authorization_error", "USER_PERMISSION_DENIED", said)
    return Refused(grpc.StatusCode.PERMISSION_DENIED, error)
