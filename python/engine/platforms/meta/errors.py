"""What Meta says when it says no, in the classes that the gateway acts on.

An error is an object in the answer's body, whatever the status; its code decides, and sometimes
its subcode. How long to wait is in the headers, in minutes: X-Business-Use-Case-Usage. Who is told
to wait for half an hour or more is told of a quota: an hour's, and not a moment's.
Source: developers.facebook.com, Marketing API, Error reference and Rate limiting.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.http import Answer, bare_error, retry_after
from engine.platforms.meta.access import NAME

__all__ = ["Kind", "Refusal", "platform_error", "refusal_of"]

_A_QUOTAS_WAIT_S = 1800.0
_BUDGET_CHANGES = "613.1487632"  # of one ad set in an hour: of nobody else's


class Kind(Enum):
    """What kind of no it is."""

    UNAVAILABLE = PlatformUnavailableError
    THROTTLED = PlatformThrottledError
    CREDENTIALS = PlatformCredentialsError
    REJECTED = PlatformRejectedError


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error of Meta's."""

    kind: Kind
    code: str  # code, or code.subcode
    reason: str
    retry_after_s: float | None = None

    @property
    def is_of_the_entity(self) -> bool:
        """Return whether it says nothing of others of the same ad account."""
        return self.code == _BUDGET_CHANGES

    def error(self) -> PlatformError:
        """Return the error to raise for a call that this ended."""
        if self.kind is Kind.THROTTLED:
            is_long = self.retry_after_s is not None and self.retry_after_s >= _A_QUOTAS_WAIT_S
            throttled = PlatformQuotaError if is_long else PlatformThrottledError
            return throttled(NAME, self.reason, code=self.code, retry_after_s=self.retry_after_s)
        error: PlatformError = self.kind.value(NAME, self.reason, code=self.code)
        return error


_BY_CODE = {
    1: Kind.UNAVAILABLE,
    2: Kind.UNAVAILABLE,
    3: Kind.CREDENTIALS,
    4: Kind.THROTTLED,
    10: Kind.CREDENTIALS,
    17: Kind.THROTTLED,
    32: Kind.THROTTLED,
    102: Kind.CREDENTIALS,
    104: Kind.CREDENTIALS,
    190: Kind.CREDENTIALS,
    341: Kind.THROTTLED,
    613: Kind.THROTTLED,
    2500: Kind.CREDENTIALS,
}
_PERMISSIONS = range(200, 300)
_USE_CASES = range(80_000, 80_015)  # limits by use case: 80000 insights, 80004 ads management


def refusal_of(body: object, headers: Mapping[str, str]) -> Refusal | None:
    """Return the error in an answer's body; None where there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    kind = _kind(code, error)
    trace = error.get("fbtrace_id")
    said = str(error.get("error_user_msg") or error.get("message") or "no reason")
    return Refusal(
        kind=kind,
        code=f"{code}.{subcode}" if subcode else f"{code}",
        reason=" ".join(said.split()) + (f" [trace {trace}]" if trace else ""),
        retry_after_s=_wait(headers) if kind is Kind.THROTTLED else None,
    )


def platform_error(answer: Answer) -> PlatformError:
    """Return what an answer means that is not the one that was asked for."""
    refusal = refusal_of(answer.body, answer.headers)
    return refusal.error() if refusal is not None else bare_error(NAME, answer)


def _kind(code: int, error: Mapping[str, Any]) -> Kind:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in _USE_CASES:
        return Kind.THROTTLED
    if code in _PERMISSIONS or "appsecret_proof" in str(error.get("message")):
        return Kind.CREDENTIALS
    return Kind.UNAVAILABLE if error.get("is_transient") is True else Kind.REJECTED


def _wait(headers: Mapping[str, str]) -> float | None:
    """Return the longest time until access is regained that the headers tell, in seconds."""
    found: list[float] = []
    usage = _json(headers.get("x-business-use-case-usage"))
    for of_object in usage.values():
        for each in of_object if isinstance(of_object, list) else ():
            minutes = each.get("estimated_time_to_regain_access") if isinstance(each, dict) else 0
            found.append(60.0 * _number(minutes))
    account = _json(headers.get("x-ad-account-usage"))
    if not any(found) and account.get("reset_time_duration"):
        found.append(float(_number(account["reset_time_duration"])))
    wait = max(found, default=0.0)
    return wait or retry_after(headers)


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
