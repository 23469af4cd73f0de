"""A circuit breaker: who fails much is left alone for a while, then asked once.

    closed ──(too many of the last calls failed)──► open ──(its time is over)──► half-open
      ▲                                              ▲                               │
      └──────────────────(the probe did)─────────────┴───────(the probe failed)──────┘

Pure: it reads no clock and draws no luck. Half-open lets one call through at a time, of all that
share the breaker: whoever may probe is settled by `Shared`, a compare-and-swap in the journal.
"""

from collections import deque
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Breaker", "BreakerSettings", "State"]


class State(Enum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


_Count = Annotated[int, Meta(gt=0, description="a whole number above 0")]
_Positive = Annotated[float, Meta(gt=0, description="a number above 0")]


class BreakerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a breaker opens, and for how long."""

    calls: Annotated[_Count, Meta(title="The newest so many calls are looked at")] = 10
    least: Annotated[_Count, Meta(title="Fewer say nothing")] = 3
    share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            title="Part of them that failed, for it to open",
            description="a fraction above 0, up to 1",
        ),
    ] = 0.5
    open_s: Annotated[_Positive, Meta(title="Seconds open, doubled each time in a row")] = 5.0
    longest_s: Annotated[_Positive, Meta(title="The most of that")] = 300.0
    probe_s: Annotated[_Positive, Meta(title="Seconds until a silent probe is given up")] = 60.0


class Breaker:
    """The state machine. Times are epoch seconds: gateways on several machines share them."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self.settings = settings or BreakerSettings()
        self.state = State.CLOSED
        self.until = 0.0
        self.opened = 0  # in a row
        self.reason = ""
        self._newest: deque[bool] = deque(maxlen=self.settings.calls)

    def may_call(self, now: float) -> bool:
        """Return whether an ordinary call may be made."""
        return self.state is State.CLOSED

    def may_probe(self, now: float) -> bool:
        """Return whether somebody may ask once: `probe` says that it is done."""
        return self.state is not State.CLOSED and now >= self.until

    def probe(self, now: float) -> None:
        """One call is on its way, and no other until it is answered or given up."""
        self.state = State.HALF_OPEN
        self.until = now + self.settings.probe_s

    def succeeded(self, now: float) -> bool:
        """Note a call that did; return whether the state has changed."""
        if self.state is State.CLOSED:
            self._newest.append(True)
            return False
        if self.state is State.OPEN:
            return False  # a call from before it opened
        self._close()
        return True

    def failed(self, now: float, *, reason: str = "", luck: float = 0.5) -> bool:
        """Note a call that failed; return whether the state has changed. `luck`: 0 to 1, jitter."""
        if self.state is State.CLOSED:
            self._newest.append(False)
            wrong = self._newest.count(False)
            if len(self._newest) < self.settings.least:
                return False
            if wrong < self.settings.share * len(self._newest):
                return False
        elif self.state is State.OPEN:
            return False
        self.open(now, reason=reason, luck=luck)
        return True

    def open(self, now: float, *, reason: str = "", luck: float = 0.5) -> None:
        """Let nothing through for a while: longer each time in a row."""
        settings = self.settings
        wait = min(settings.longest_s, settings.open_s * 2.0 ** min(self.opened, 30))
        self.state = State.OPEN
        self.until = now + wait * (0.75 + 0.5 * luck)
        self.opened += 1
        self.reason = reason
        self._newest.clear()

    def adopt(self, state: State, *, until: float, opened: int, reason: str) -> None:
        """Take over what another one has found."""
        if state is State.CLOSED:
            self._close()
            return
        self.state, self.until, self.opened, self.reason = state, until, opened, reason
        self._newest.clear()

    def _close(self) -> None:
        self.state, self.until, self.opened, self.reason = State.CLOSED, 0.0, 0, ""
        self._newest.clear()
