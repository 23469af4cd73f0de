"""How Meta says no: an error object, a code and often a subcode, and headers that tell how long."""

import math
from collections.abc import Mapping

import msgspec

from engine.sandbox.faults import Fault, Trouble
from engine.sandbox.http import Response, json_response
from engine.sandbox.quotas import Refusal
from engine.sandbox.service import Refused

__all__ = ["error_of", "of_quota", "of_trouble", "refuse", "usage"]

_DEFAULT_WAIT_S = 300.0
_QUOTAS_WAIT_S = 3600.0


def error_of(
    code: int,
    message: str,
    *,
    subcode: int = 0,
    kind: str = "OAuthException",
    is_transient: bool = False,
    status: int = 400,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer that is an error."""
    error: dict[str, object] = {"message": f"(#{code}) {message}", "type": kind, "code": code}
    if subcode:
        error["error_subcode"] = subcode
    if is_transient:
        error["is_transient"] = True
    error["fbtrace_id"] = "Asandbox"
    return json_response({"error": error}, status=status, headers=headers)


def refuse(code: int, message: str, *, subcode: int = 0) -> Refused:
    """Return what to raise for a request that is refused for good."""
    kind = "GraphMethodException" if subcode == 33 else "OAuthException"
    return Refused(error_of(code, message, subcode=subcode, kind=kind))


def usage(ad_account: str, *, used: int, wait_s: float = 0.0) -> dict[str, str]:
    """Return the headers that tell how much of a quota is used, and when it comes back."""
    use = {
        "type": "ads_management",
        "call_count": used,
        "total_cputime": used,
        "total_time": used,
        "estimated_time_to_regain_access": math.ceil(wait_s / 60),
        "ads_api_access_tier": "standard_access",
    }
    number = ad_account.removeprefix("act_") or "0"
    return {"x-business-use-case-usage": msgspec.json.encode({number: [use]}).decode()}


def of_quota(refusal: Refusal) -> Response:
    """Return what Meta says of a quota that is used up."""
    said = "There have been too many calls to this ad-account. Wait a bit and try again."
    headers = usage("", used=100, wait_s=refusal.retry_after_s)
    return error_of(80_004, said, subcode=2_446_079, headers=headers)


def of_trouble(fault: Fault) -> Response:
    """Return what Meta says in a planned trouble."""
    match fault.trouble:
        case Trouble.THROTTLED | Trouble.QUOTA:
            is_long = fault.trouble is Trouble.QUOTA
            wait_s = fault.retry_after_s or (_QUOTAS_WAIT_S if is_long else _DEFAULT_WAIT_S)
            return of_quota(Refusal(is_long, wait_s))
        case Trouble.DENIED:
            said = "Ad account owner has NOT grant ads_management or ads_read permission"
            return error_of(200, said, status=403)
        case Trouble.EXPIRED:
            said = "Error validating access token: Session has expired."
            return error_of(190, said, subcode=463)
        case Trouble.CONFLICT:
            said = "Service temporarily unavailable: the object is being changed by another call"
            return error_of(2, said, is_transient=True, status=500)
        case _:
            said = "An unknown error has occurred."
            return error_of(1, said, status=500, is_transient=True)
