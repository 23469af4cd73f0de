"""How TikTok says no: with status 200, and a code and a message in the body."""

import itertools

from engine.sandbox.faults import Fault, Trouble
from engine.sandbox.http import Response, json_response
from engine.sandbox.quotas import Refusal
from engine.sandbox.service import Refused

__all__ = ["answer_of", "of_quota", "of_trouble", "refuse"]

_numbers = itertools.count(1)


def answer_of(data: object, *, code: int = 0, message: str = "OK") -> Response:
    """Return an answer in TikTok's envelope."""
    request = f"sandbox{next(_numbers)}"
    return json_response({"code": code, "message": message, "request_id": request, "data": data})


def refuse(code: int, message: str) -> Refused:
    """Return what to raise for a request that is refused."""
    return Refused(answer_of({}, code=code, message=message))


def of_quota(refusal: Refusal) -> Response:
    """Return what TikTok says of a quota that is used up: not for how long."""
    said = "Too many requests. Please retry in some time."
    if refusal.is_of_the_day:
        said = "Too many requests: the daily limit (QPD) of your app is reached."
    return answer_of({}, code=40_100, message=said)


def of_trouble(fault: Fault) -> Response:
    """Return what TikTok says in a planned trouble."""
    match fault.trouble:
        case Trouble.THROTTLED | Trouble.QUOTA:
            return of_quota(Refusal(fault.trouble is Trouble.QUOTA, fault.retry_after_s or 0.0))
        case Trouble.DENIED:
            said = "No permission to operate advertiser."
            return answer_of({}, code=40_001, message=said)
        case Trouble.EXPIRED:
            return answer_of({}, code=40_102, message="Access token is expired.")
        case Trouble.CONFLICT:
            said = "Conflict: the object is being updated by another request."
            return answer_of({}, code=40_202, message=said)
        case _:
            return answer_of({}, code=50_000, message="System error.")
