"""Followers of single subjects of one stream, read by few consumers instead of one each.

To find the next message of one subject in 64 the server looks at all that lie between: with one
consumer a partition a full stream is read many times slower than with one for all (docs/decisions,
0008). So followers that begin near each other share a reader; readers that come near each other
become one. Each follower still gets every message behind its own position, once and in order.

Readers become one by a new consumer that begins behind the one that is least far. What the others
had delivered comes again, and is dropped here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import structlog

from engine.clock import Clock
from engine.messaging.link import Delivery
from engine.messaging.logs import OnStored
from engine.messaging.reader import OnMessage, Reader
from engine.messaging.tail import Tail

__all__ = ["MakeReader", "SharedReading"]

_log = structlog.get_logger(__name__)

NEAR = 1024  # sequences that may be read twice at any time
NEAR_SHARE = 0.5  # and that part of what is still to be read
LINGER_S = 0.002  # for others who begin just now
YOUNG_S = 0.05  # a reader's first moments, in which it is left alone


class MakeReader(Protocol):
    """Makes a reader of some subjects; see `Reader`."""

    def __call__(
        self,
        *,
        filters: Sequence[str],
        after: int,
        deliver: OnMessage,
        wants_more: Callable[[], bool],
        stepped_back: Callable[[int], None],
        tails: Sequence[Tail],
    ) -> Reader: ...


class SharedReading:
    """Who follows, and the readers they share. `run` works until cancelled.

    `whole` is what the server is asked for in the place of all `count` subjects there are: one
    wildcard costs it half of what a list of them does.
    """

    def __init__(self, *, make: MakeReader, clock: Clock, whole: str, count: int) -> None:
        self._make = make
        self._clock = clock
        self._whole = whole
        self._count = count
        self._joining: list[_Follower] = []
        self._groups: list[_Group] = []
        self._stirred = asyncio.Event()

    @asynccontextmanager
    async def follow(
        self,
        deliver: OnStored,
        *,
        subject: str,
        after: int,
        wants_more: Callable[[], bool],
        opened: bool,
    ) -> AsyncIterator["_Follower"]:
        """Deliver the messages of a subject as they come, as `Log.follow`."""
        follower = _Follower(deliver, subject=subject, after=after, wants_more=wants_more)
        self._joining.append(follower)
        self._stirred.set()
        try:
            if opened:
                await follower.opened()
            yield follower
        finally:
            follower.leave()
            if follower in self._joining:
                self._joining.remove(follower)
            self._stirred.set()

    async def run(self) -> None:
        """Give followers their readers, and make few of many, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if self._joining:
                    await self._clock.sleep(LINGER_S)
                self._stirred.clear()
                joining, self._joining = self._joining, []
                for some in _clusters(joining):
                    self._begin(some, tasks, after=min(one.position for one in some))
                self._end_the_deserted()
                self._join_the_near(tasks)
                try:
                    async with asyncio.timeout(self._look_again_in()):
                        await self._stirred.wait()
                except TimeoutError:
                    continue

    def _begin(
        self,
        followers: Sequence["_Follower"],
        tasks: asyncio.TaskGroup,
        *,
        after: int,
        tails: Sequence[Tail] = (),
    ) -> None:
        subjects = {one.subject for one in followers}
        group = _Group(followers, now=self._clock.monotonic(), after=after)
        group.reader = self._make(
            filters=[self._whole] if len(subjects) == self._count else sorted(subjects),
            after=after,
            deliver=group.deliver,
            wants_more=group.wants_more,
            stepped_back=group.stepped_back,
            tails=tails,
        )
        group.task = tasks.create_task(group.reader.run(), name="shared reader")
        self._groups.append(group)
        for one in followers:
            one.move_to(group)

    def _end_the_deserted(self) -> None:
        for group in list(self._groups):
            if not group.followers:
                self._end(group)

    def _end(self, group: "_Group") -> None:
        self._groups.remove(group)
        group.reader.close()
        if group.task is not None:
            group.task.cancel()

    def _join_the_near(self, tasks: asyncio.TaskGroup) -> None:
        """Let readers become one with those ahead of them, and forget who has left."""
        old_enough = self._clock.monotonic() - YOUNG_S
        ready = [group for group in self._groups if group.is_ready and group.since <= old_enough]
        ready.sort(key=lambda group: group.reader.position)
        while ready:
            together = [ready.pop(0)]
            first = together[0].reader
            while ready and ready[0].may_go_back_to(first.position):
                together.append(ready.pop(0))
            if len(together) > 1 or together[0].has_been_left:
                _log.debug(
                    "readers_joined",
                    positions=[group.reader.position for group in together],
                    lags=[group.reader.lag for group in together],
                    others=len(self._groups) - len(together),
                )
                for group in together:
                    self._end(group)
                self._begin(
                    [one for group in together for one in group.followers],
                    tasks,
                    after=first.position,
                    tails=[group.reader.tail for group in together],
                )

    def _look_again_in(self) -> float | None:
        has_work = len(self._groups) > 1 or any(one.has_been_left for one in self._groups)
        return YOUNG_S if has_work else None


class _Follower:
    """One subject's follower: a `Follower` whose reader may change."""

    def __init__(
        self, deliver: OnStored, *, subject: str, after: int, wants_more: Callable[[], bool]
    ) -> None:
        self.subject = subject
        self.position = after
        self.wants_more = wants_more
        self._deliver = deliver
        self._group: _Group | None = None
        self._placed = asyncio.Event()

    @property
    def lag(self) -> int | None:
        """Return its share of what is to come to all who read together: nobody counts each."""
        group = self._group
        if group is None or group.reader.lag is None:
            return None
        return -(-group.reader.lag // len(group.followers))

    def go_on(self) -> None:
        """Ask `wants_more` again."""
        if self._group is not None:
            self._group.reader.go_on()

    async def opened(self) -> None:
        """Return once a reader reads for this follower. Raises BrokerError where none can."""
        await (await self._reading()).reader.opened()

    async def caught_up(self, *, up_to: int | None = None) -> None:
        """Return once everything stored before this call has been delivered; see `Follower`."""
        while True:
            group = await self._reading()
            await group.reader.caught_up(up_to=up_to, filters=[self.subject])
            if group is self._group:
                return

    def move_to(self, group: "_Group") -> None:
        """Be read for by another group from now on."""
        self._group = group
        self._placed.set()

    def leave(self) -> None:
        """Get nothing any more."""
        if self._group is not None:
            self._group.forget(self)
            self._group = None

    def take(self, sequence: int, delivery: Delivery) -> None:
        """Take the next message of the subject, or one that came before."""
        if sequence > self.position:
            self.position = sequence
            self._deliver(sequence, delivery)

    async def _reading(self) -> "_Group":
        await self._placed.wait()
        assert self._group is not None
        return self._group


class _Group:
    """Followers with one reader."""

    reader: Reader

    def __init__(self, followers: Iterable[_Follower], *, after: int, now: float) -> None:
        self.followers = list(followers)
        self.since = now
        self.task: asyncio.Task[None] | None = None
        self.has_been_left = False  # the reader still asks for what nobody wants
        self._began_after = after
        self._messages = 0
        self._by_subject: dict[str, list[_Follower]] = {}
        for one in self.followers:
            self._by_subject.setdefault(one.subject, []).append(one)

    @property
    def is_ready(self) -> bool:
        """Return whether it reads now, so that its position means something."""
        return bool(self.followers) and self.reader.lag is not None

    def may_go_back_to(self, position: int) -> bool:
        """Return whether that costs little, compared with what is still to be read."""
        sequences = max(1, self.reader.position - self._began_after)
        to_come = (self.reader.lag or 0) * sequences / max(1, self._messages)
        return self.reader.position - position <= max(NEAR, NEAR_SHARE * to_come)

    def forget(self, follower: _Follower) -> None:
        if follower in self.followers:
            self.followers.remove(follower)
            self._by_subject[follower.subject].remove(follower)
            self.has_been_left = True

    def deliver(self, subject: str, sequence: int, delivery: Delivery) -> None:
        """Hand a message to whoever follows its subject."""
        self._messages += 1
        for one in self._by_subject.get(subject, ()):
            one.take(sequence, delivery)

    def wants_more(self) -> bool:
        """Return whether all of them do: one that does not holds up the others."""
        return all(one.wants_more() for one in self.followers)

    def stepped_back(self, position: int) -> None:
        """Let followers have anew what the stream has put in the place of what it lost."""
        for one in self.followers:
            one.position = min(one.position, position)


class _Span(NamedTuple):
    first: int
    followers: list[_Follower]


def _clusters(followers: Sequence[_Follower]) -> list[list[_Follower]]:
    """Return followers in groups whose positions are near each other."""
    spans: list[_Span] = []
    for one in sorted(followers, key=lambda follower: follower.position):
        if not spans or one.position - spans[-1].first > NEAR:
            spans.append(_Span(one.position, []))
        spans[-1].followers.append(one)
    return [span.followers for span in spans]
