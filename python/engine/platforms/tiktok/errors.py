"""What TikTok says when it says no, in the classes that the gateway acts on.

The status is 200 whatever happens; the `code` in the body decides. How long to wait it does not
say: a day's quota, which its message tells apart, comes back at midnight UTC.
Source: business-api.tiktok.com, Return codes and Rate limits.
"""

import re

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.http import Answer, bare_error, retry_after
from engine.platforms.tiktok.access import NAME

__all__ = ["is_good", "platform_error"]

_DAY_S = 86_400.0
_OF_THE_DAY = re.compile(r"\b(day|daily|qpd)\b", re.IGNORECASE)

_NO_PERMISSION = 40_001
_TOO_MANY = {40_016, 40_100}
_AUTHENTICATION = range(40_101, 40_120)  # 40102 expired, 40105 unknown or taken back
_CONFLICT = 40_202  # somebody else changes the same now
_BROKEN = 50_000  # and above: TikTok's own troubles


def is_good(answer: Answer) -> bool:
    """Return whether an answer is the one that was asked for."""
    body = answer.body
    return answer.status == 200 and isinstance(body, dict) and body.get("code") == 0


def platform_error(answer: Answer, *, now: float) -> PlatformError:
    """Return what an answer means that is not good."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = body.get("code")
    if not isinstance(code, int) or code == 0:
        return bare_error(NAME, answer)
    request = body.get("request_id")
    said = " ".join(str(body.get("message") or "no reason").split())
    reason = said + (f" [request {request}]" if request else "")
    if code in _TOO_MANY:
        wait = retry_after(answer.headers)
        if _OF_THE_DAY.search(said):
            wait = _DAY_S - now % _DAY_S if wait is None else wait
            return PlatformQuotaError(NAME, reason, code=f"{code}", retry_after_s=wait)
        return PlatformThrottledError(NAME, reason, code=f"{code}", retry_after_s=wait)
    kind: type[PlatformError] = PlatformRejectedError
    if code == _NO_PERMISSION or code in _AUTHENTICATION:
        kind = PlatformCredentialsError
    elif code == _CONFLICT or code >= _BROKEN:
        kind = PlatformUnavailableError
    return kind(NAME, reason, code=f"{code}")
