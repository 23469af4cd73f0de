"""Traces as the parts know them: spans, and the W3C header that carries them through the broker.

Off until `wiring` installs an implementation: the parts ask `active()`, which is None, and no
message has a header. A message stored inside a span has the span's header, whatever stores it; the
samples' frames, the rounds that count them, and the changes that follow are so tied together:

    publish samples ◄─ round (its record has the header) ◄─ change (the journal's too)
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Literal, Protocol

__all__ = ["TRACEPARENT", "Kind", "Traces", "active", "carried", "install", "mark"]

TRACEPARENT = "traceparent"  # https://www.w3.org/TR/trace-context/

Kind = Literal["producer", "consumer", "client"]

carried: ContextVar[str] = ContextVar(TRACEPARENT, default="")
"""The header of the span that is open here; "" where there is none, or it is not sampled."""


class Traces(Protocol):
    """Where spans go."""

    def span(
        self,
        name: str,
        *,
        kind: Kind,
        parents: Sequence[str] = (),
        attributes: Mapping[str, str | int | float] | None = None,
    ) -> AbstractContextManager[None]:
        """Open a span while the context lasts, and let `carried` be its header.

        It is a child of the last of `parents` (headers as received), in its trace and sampled as
        that was, and linked to the others. What leaves the context is noted and raised on.
        """
        ...


_active: Traces | None = None


def active() -> Traces | None:
    """Return where spans go; None while nothing is traced."""
    return _active


def install(traces: Traces | None) -> None:
    """Send spans to `traces` from here on, in the whole process; None ends that."""
    global _active  # one for the process, as the logs are
    _active = traces


def mark(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with that of the open span, if there is one; the same dict."""
    if header := carried.get():
        headers[TRACEPARENT] = header
    return headers
