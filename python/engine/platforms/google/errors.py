"""What Google says when it says no, in the classes that the gateway acts on.

Google Ads tells its own errors in a GoogleAdsFailure: in the trailing metadata of a call that
failed, and in `partial_failure_error` of one that did in part. A short exhaustion
(RESOURCE_TEMPORARILY_EXHAUSTED) passes within its retry delay; a day's does when the quota is
renewed. Where nothing of that kind came, the gRPC status alone decides.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import grpc
import msgspec
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.api_core import exceptions as api_errors
from google.rpc import status_pb2

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.google.access import NAME

__all__ = ["CALL_ERRORS", "Kind", "Refusal", "platform_error", "refusals"]

# What a call by a generated client raises: translated by api_core, or as gRPC has it.
CALL_ERRORS = (api_errors.GoogleAPIError, grpc.RpcError)

_FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
_A_DAYS_WAIT_S = 1800.0  # who is told to wait this long waits for a day's quota
_RETRY_IN = re.compile(r"[Rr]etry in (\d+) seconds")
_Failure = GoogleAdsFailure.pb()


class Kind(Enum):
    """What kind of no it is."""

    UNAVAILABLE = PlatformUnavailableError
    THROTTLED = PlatformThrottledError
    QUOTA = PlatformQuotaError
    CREDENTIALS = PlatformCredentialsError
    REJECTED = PlatformRejectedError


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One error of a GoogleAdsFailure."""

    kind: Kind
    code: str  # category.VALUE, as in quota_error.RESOURCE_EXHAUSTED
    reason: str
    retry_after_s: float | None = None
    operation: int | None = None  # which of a batch
    field: str = ""  # of the operation: update.cpc_bid_micros

    def error(self, request_id: str = "") -> PlatformError:
        """Return the error to raise for a call that this ended."""
        reason = self.reason + (f" [request {request_id}]" if request_id else "")
        if self.kind in (Kind.THROTTLED, Kind.QUOTA):
            throttled = PlatformQuotaError if self.kind is Kind.QUOTA else PlatformThrottledError
            return throttled(NAME, reason, code=self.code, retry_after_s=self.retry_after_s)
        error: PlatformError = self.kind.value(NAME, reason, code=self.code)
        return error


_BY_CATEGORY = {
    "authentication_error": Kind.CREDENTIALS,
    "authorization_error": Kind.CREDENTIALS,
    "header_error": Kind.CREDENTIALS,
    "internal_error": Kind.UNAVAILABLE,
}
_BY_CODE = {
    "authentication_error.CUSTOMER_NOT_FOUND": Kind.REJECTED,
    "authorization_error.ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": Kind.REJECTED,
    "database_error.CONCURRENT_MODIFICATION": Kind.UNAVAILABLE,
    "quota_error.ACCESS_PROHIBITED": Kind.CREDENTIALS,
    "quota_error.EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION": Kind.QUOTA,
    "quota_error.EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION": Kind.THROTTLED,
    "quota_error.RESOURCE_TEMPORARILY_EXHAUSTED": Kind.THROTTLED,
    "request_error.CLOUD_PROJECT_NOT_FOUND": Kind.CREDENTIALS,
    "request_error.DEVELOPER_TOKEN_PARAMETER_MISSING": Kind.CREDENTIALS,
    "request_error.LOGIN_CUSTOMER_ID_PARAMETER_MISSING": Kind.CREDENTIALS,
}
_BY_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: Kind.CREDENTIALS,
    grpc.StatusCode.PERMISSION_DENIED: Kind.CREDENTIALS,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Kind.THROTTLED,
    grpc.StatusCode.INVALID_ARGUMENT: Kind.REJECTED,
    grpc.StatusCode.NOT_FOUND: Kind.REJECTED,
    grpc.StatusCode.ALREADY_EXISTS: Kind.REJECTED,
    grpc.StatusCode.FAILED_PRECONDITION: Kind.REJECTED,
    grpc.StatusCode.OUT_OF_RANGE: Kind.REJECTED,
    grpc.StatusCode.UNIMPLEMENTED: Kind.REJECTED,
}  # whatever else: whether it was done is unknown
_GRAVITY = [Kind.CREDENTIALS, Kind.QUOTA, Kind.THROTTLED, Kind.UNAVAILABLE, Kind.REJECTED]


def platform_error(error: BaseException) -> PlatformError:
    """Return what an error of a call means to the gateway."""
    rpc = getattr(error, "response", None) or error
    metadata = list(_trailing(rpc))
    request_id = next((value for name, value in metadata if name == "request-id"), "")
    found = [
        refusal
        for name, value in metadata
        if name == _FAILURE_KEY and isinstance(value, bytes)
        for refusal in _of_failure(value)
    ]
    if found:
        return min(found, key=lambda refusal: _GRAVITY.index(refusal.kind)).error(str(request_id))
    status = rpc.code() if isinstance(rpc, grpc.RpcError) else None
    details = rpc.details() if isinstance(rpc, grpc.RpcError) else str(error)
    return Refusal(
        kind=_BY_STATUS.get(status, Kind.UNAVAILABLE),
        code=status.name if status is not None else type(error).__name__,
        reason=" ".join((details or "no answer").split()),
    ).error(str(request_id))


def refusals(partial_failure: status_pb2.Status) -> list[Refusal]:
    """Return the errors of a call that was done in part, with the operations they belong to.

    Raises PlatformUnavailableError where something failed and Google does not tell what.
    """
    found: list[Refusal] = []
    for detail in partial_failure.details:
        if detail.TypeName() == _Failure.DESCRIPTOR.full_name:
            found += _of_failure(detail.value)
    if partial_failure.code and not found:
        said = f"what failed of a batch wanted, found status {partial_failure.code} alone"
        raise PlatformUnavailableError(NAME, said, code="partial_failure")
    return found


def _trailing(rpc: Any) -> Iterator[tuple[str, str | bytes]]:
    if isinstance(rpc, grpc.RpcError) and callable(getattr(rpc, "trailing_metadata", None)):
        yield from rpc.trailing_metadata() or ()


def _of_failure(payload: bytes) -> list[Refusal]:
    try:
        failure = _Failure.FromString(payload)
    except Exception as error:  # DecodeError is protobuf's own, and moves between its versions
        reason = f"an error that cannot be read: {type(error).__name__}"
        return [Refusal(kind=Kind.UNAVAILABLE, code="unreadable", reason=reason)]
    return [_refusal(error) for error in failure.errors]


def _refusal(error: Any) -> Refusal:
    category = error.error_code.WhichOneof("error_code") or "unknown"
    code = f"{category}.{_name(error.error_code, category)}"
    delay = _retry_after(error)
    path = error.location.field_path_elements
    of_batch = bool(path) and path[0].field_name in {"operations", "mutate_operations"}
    return Refusal(
        kind=_kind(category, code, delay),
        code=code,
        reason=" ".join(error.message.split()) or code,
        retry_after_s=delay,
        operation=path[0].index if of_batch else None,
        field=".".join(element.field_name for element in path[1 if of_batch else 0 :]),
    )


def _kind(category: str, code: str, delay: float | None) -> Kind:
    if code == "quota_error.RESOURCE_EXHAUSTED":
        is_short = delay is not None and delay < _A_DAYS_WAIT_S
        return Kind.THROTTLED if is_short else Kind.QUOTA
    return _BY_CODE.get(code) or _BY_CATEGORY.get(category, Kind.REJECTED)


def _retry_after(error: Any) -> float | None:
    details = error.details.quota_error_details
    if details.HasField("retry_delay"):
        return float(details.retry_delay.seconds + details.retry_delay.nanos / 1e9)
    said = _RETRY_IN.search(error.message)
    return float(said[1]) if said else None


def _name(error_code: Any, category: str) -> str:
    field = error_code.DESCRIPTOR.fields_by_name.get(category)
    if field is None:
        return "UNKNOWN"
    number = getattr(error_code, category)
    value = field.enum_type.values_by_number.get(number)
    return value.name if value is not None else str(number)
