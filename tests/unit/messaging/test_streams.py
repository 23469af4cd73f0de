"""Making the streams while others make them too."""

from typing import Any, cast

import msgspec
import pytest

from engine.clock import SystemClock
from engine.messaging import wire
from engine.messaging.link import Delivery, Link, RefusedError
from engine.messaging.streams import provision, wanted_streams


class Hurried(SystemClock):
    """A clock that nobody waits by."""

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class Api:
    """A broker's API that refuses the first requests to make a stream for want of storage."""

    def __init__(self, *, refusals: int) -> None:
        self.refusals = refusals
        self.made: dict[str, Any] = {}

    async def request(self, subject: str, payload: bytes = b"", **_options: object) -> Delivery:
        verb, _, name = subject.removeprefix("$JS.API.STREAM.").partition(".")
        if verb == "CREATE" and self.refusals:
            self.refusals -= 1
            return self._refused(wire.NO_STORAGE, "insufficient storage resources available")
        if verb == "CREATE":
            self.made[name] = msgspec.json.decode(payload)
        if name not in self.made:
            return self._refused(wire.STREAM_NOT_FOUND, "stream not found")
        return self._answer({"config": self.made[name], "state": {}})

    def _refused(self, code: int, why: str) -> Delivery:
        return self._answer({"error": {"code": 500, "err_code": code, "description": why}})

    def _answer(self, found: object) -> Delivery:
        return Delivery("", "", None, msgspec.json.encode(found))


async def test_storage_that_another_maker_is_counted_for_as_well_is_asked_for_again() -> None:
    api = Api(refusals=2)
    await provision(cast("Link", api), clock=Hurried(), replicas=1)
    assert list(api.made) == [wanted["name"] for wanted in wanted_streams(1)]


async def test_storage_that_is_not_there_is_said_in_the_end() -> None:
    api = Api(refusals=1000)
    with pytest.raises(RefusedError, match="insufficient storage"):
        await provision(cast("Link", api), clock=Hurried(), replicas=1)
    assert not api.made
