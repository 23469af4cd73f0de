"""From one picture of the engine to many viewers: a view is rendered once a beat for all of them.

A view is a page and what it was asked to show. Each beat, every view that has a viewer is rendered
and compared with the beat before; all its viewers are handed the same bytes: the rows that changed,
or all of it for whoever has just come or missed a beat. Nobody is waited for: a viewer that reads
slowly gets the newest, never a queue.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from engine.clock import Clock

__all__ = ["Beat", "Hub", "Rendered", "TooManyViewersError", "View"]

_json = msgspec.json.Encoder()


class TooManyViewersError(Exception):
    """No more viewers are taken. `most` is how many there may be."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} viewers")
        self.most = most


class Rendered(msgspec.Struct, frozen=True):
    """A page at one beat. `rows` are compared one by one, `rest` as a whole."""

    rest: dict[str, Any]
    rows: list[list[Any]] = []


class View(Protocol):
    """Something to look at; equal views are the same one."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...


class Beat(msgspec.Struct, frozen=True):
    """What a view's viewers are sent at one beat."""

    number: int
    full: bytes  # everything, for one who has not seen the beat before
    delta: bytes  # what changed since


class _Show:
    """A view with viewers."""

    def __init__(self) -> None:
        self.viewers = 0
        self.beat: Beat | None = None
        self.rendered: Rendered | None = None
        self.changed = asyncio.Event()


class Hub:
    """Renders views while somebody looks at them. `render` must be quick: it runs on the loop."""

    def __init__(
        self,
        *,
        render: Callable[[View], Rendered],
        summary: Callable[[], dict[str, Any]],
        clock: Clock,
        every_s: float = 1.0,
        most_viewers: int = 1_000,
    ) -> None:
        self._render = render
        self._summary = summary
        self._clock = clock
        self._every_s = every_s
        self._most_viewers = most_viewers
        self._shows: dict[View, _Show] = {}
        self._number = 0
        self._head = b"{}"
        self._is_closed = False
        self.viewers = 0

    def close(self) -> None:
        """End all streams, so that a server can end."""
        self._is_closed = True
        for show in self._shows.values():
            show.changed.set()

    async def run(self, look: Callable[[], None]) -> None:
        """Beat until cancelled; `look` is called before each."""
        while True:
            look()
            self._number += 1
            self._head = _json.encode(self._summary())
            for view, show in list(self._shows.items()):
                self._beat(view, show)
            await self._clock.sleep(self._every_s)

    def once(self, view: View) -> bytes:
        """Return the full message of a view now; from the beat, where somebody watches it."""
        show = self._shows.get(view)
        if show is not None and show.beat is not None and show.beat.number == self._number:
            return show.beat.full
        return _full(self._number, _json.encode(self._summary()), self._render(view))

    @contextmanager
    def _watched(self, view: View) -> Iterator["_Show"]:
        if self.viewers >= self._most_viewers:
            raise TooManyViewersError(self._most_viewers)
        self.viewers += 1
        show = self._shows.setdefault(view, _Show())
        show.viewers += 1
        try:
            yield show
        finally:
            self.viewers -= 1
            show.viewers -= 1
            if not show.viewers and self._shows.get(view) is show:
                del self._shows[view]

    async def watch(self, view: View) -> AsyncIterator[bytes]:
        """Iterate the messages of a view, until the hub is closed: a full one, then one a beat.

        Raises TooManyViewersError before the first.
        """
        with self._watched(view) as show:
            beat = show.beat
            if beat is None or beat.number != self._number:
                beat = self._beat(view, show)
            seen = -1
            while not self._is_closed:
                yield beat.delta if beat.number == seen + 1 else beat.full
                seen = beat.number
                while (beat := show.beat or beat).number == seen and not self._is_closed:
                    await show.changed.wait()

    def _beat(self, view: View, show: _Show) -> Beat:
        before, rendered = show.rendered, self._render(view)
        full = _full(self._number, self._head, rendered)
        delta = full if before is None else _delta(self._number, self._head, before, rendered)
        beat = show.beat = Beat(self._number, full, delta)
        show.rendered = rendered
        show.changed.set()
        show.changed = asyncio.Event()
        return beat


def _full(number: int, head: bytes, rendered: Rendered) -> bytes:
    page = _json.encode(rendered.rest | ({"rows": rendered.rows} if rendered.rows else {}))
    return b'{"beat":%d,"full":true,"head":%b,"page":%b}' % (number, head, page)


def _delta(number: int, head: bytes, before: Rendered, now: Rendered) -> bytes:
    """Return what changed: `rest` where it did, rows by their index in the window."""
    page: dict[str, Any] = {}
    if now.rest != before.rest:
        page |= now.rest
    if len(now.rows) != len(before.rows):
        return _full(number, head, now)
    changed = {
        str(i): row
        for i, (row, old) in enumerate(zip(now.rows, before.rows, strict=True))
        if row != old
    }
    if changed:
        page["changed"] = changed
    return b'{"beat":%d,"full":false,"head":%b,"page":%b}' % (number, head, _json.encode(page))
