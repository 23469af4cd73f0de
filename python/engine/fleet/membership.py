"""Who is alive: heartbeats heard and connections lost, judged by a clock that the caller reads.

Leases are for liveness only: a wrong judgement here costs a moment of work, never a wrong
decision, because the chain of each partition refuses whoever is not its owner.
"""

import math
from collections import deque
from collections.abc import Collection

__all__ = ["DEAF_S", "HEARTBEAT_S", "ROLL_CALL_S", "SUSPICION_S", "Membership"]

HEARTBEAT_S = 0.1
SUSPICION_S = 0.6
"""Six heartbeats missed: 0.60 s (p50) from kill -9 to the next owner's decision, as measured."""
DEAF_S = HEARTBEAT_S + SUSPICION_S / 2
"""Whose own heartbeat has not come back for so long hears nobody else's either."""
ROLL_CALL_S = 1.5 * HEARTBEAT_S
"""Who has just started and heard nobody for so long may take what the chains say is nobody's."""
_REMEMBERED = 256  # lost connections: what is still on its way of one comes within moments


class Membership:
    """The workers heard of, and what each said it holds.

    Times are readings of one monotonic clock, in seconds. Whoever was deaf for a while (just
    started, disconnected, its loop late, its own heartbeats not coming back) calls `deaf_until`
    and judges nobody for one suspicion time: the silence was its own. What its chain says is
    nobody's a worker that has just started may have sooner, where it hears nobody but itself.

    A worker whose connection the broker knows to have ended is dead at once. Where it is not, as
    it only changed connections, it comes back with the next heartbeat over the new one.

    >>> fleet = Membership("a", now=0.0)
    >>> _ = fleet.heard("b", {1, 2}, age=9.0, is_leaving=False, now=0.5)
    >>> fleet.may_judge(0.5), fleet.may_judge(0.6)
    (False, True)
    >>> sorted(fleet.alive(0.9)), sorted(fleet.alive(1.2))
    (['a', 'b'], ['a'])
    """

    def __init__(self, worker: str, *, now: float, suspicion: float = SUSPICION_S) -> None:
        self._worker = worker
        self._suspicion = suspicion
        self._judges_from = now + suspicion
        self._answers_until: float | None = now + ROLL_CALL_S  # None: it has not just started
        self._has_echo = False
        self._echo_at = now
        self._peers: dict[str, _Peer] = {}
        self._lost: deque[str] = deque(maxlen=_REMEMBERED)

    def heard(
        self,
        worker: str,
        partitions: Collection[int],
        *,
        age: float,
        is_leaving: bool,
        now: float,
        connection: str = "",
    ) -> bool:
        """Note a heartbeat: what a worker holds, how long it runs, whether it is about to leave.

        `connection` is what the broker calls the one that it came over. Returns whether it says
        something new, so that partitions may have to move.
        """
        if worker == self._worker:
            self._echo_at, self._has_echo = now, True
            return False
        if connection and connection in self._lost:
            return False  # it was on its way when the connection ended
        known = self._peers.get(worker)
        since = now if known is None else known.since
        peer = _Peer(
            now,
            since=since,
            partitions=frozenset(partitions),
            # Its age is by its own clock, which may be wrong.
            is_settled=max(age, now - since) >= self._suspicion,
            is_leaving=is_leaving,
            connection=connection,
        )
        self._peers[worker] = peer
        return known is None or not peer.says_as(known)

    def lost(self, connection: str) -> str:
        """Note that a connection has ended; return the worker that is dead with it, "" for none."""
        self._lost.append(connection)
        for name, peer in self._peers.items():
            if peer.connection == connection:
                del self._peers[name]
                return name
        return ""

    def is_deaf(self, now: float) -> bool:
        """Return whether this worker's own heartbeats, which it hears too, have not come back."""
        return now - self._echo_at > DEAF_S

    def deaf_until(self, now: float) -> None:
        """Judge nobody for one suspicion time, and count everybody known as just heard."""
        self._judges_from = now + self._suspicion
        self._answers_until = None
        for peer in self._peers.values():
            peer.at = now

    def may_judge(self, now: float) -> bool:
        """Return whether this worker has listened long enough for silence to mean something."""
        return now >= self._judges_from

    def roll_call_ends_in(self, now: float) -> float:
        """Return how soon a worker that has just started need not wait for answers; else inf."""
        until = self._answers_until
        return math.inf if until is None or now >= until else until - now

    def judges_in(self, now: float) -> float:
        """Return in how many seconds that is so, 0 where it is already."""
        return max(0.0, self._judges_from - now)

    def is_alone_at_start(self, now: float) -> bool:
        """Return whether this worker has just started, hears itself, and nobody else so far."""
        until = self._answers_until
        return until is not None and now >= until and self._has_echo and not self._peers

    def alive(self, now: float) -> frozenset[str]:
        """Return the workers that are to have partitions: this one, and those heard and staying."""
        return self._those(now, settled_only=False)

    def settled(self, now: float) -> frozenset[str]:
        """Return those of them that take partitions already: whoever has just started listens."""
        return self._those(now, settled_only=True)

    def held_by_others(self, now: float) -> dict[int, str]:
        """Return the partitions that living workers, leaving ones too, say they hold."""
        self._forget_the_silent(now)
        return {
            partition: name for name, peer in self._peers.items() for partition in peer.partitions
        }

    def silence_in(self, now: float) -> float:
        """Return how soon somebody may be found silent, in seconds; inf where nobody can be."""
        left = (peer.at + self._suspicion - now for peer in self._peers.values())
        return min((seconds for seconds in left if seconds > 0), default=math.inf)

    def _those(self, now: float, *, settled_only: bool) -> frozenset[str]:
        self._forget_the_silent(now)
        others = {
            name
            for name, peer in self._peers.items()
            if not peer.is_leaving and (peer.is_settled or not settled_only)
        }
        return frozenset({self._worker} | others)

    def _forget_the_silent(self, now: float) -> None:
        if self.may_judge(now):
            silent = [n for n, peer in self._peers.items() if now - peer.at >= self._suspicion]
            for name in silent:
                del self._peers[name]


class _Peer:
    """What was last heard of one worker."""

    __slots__ = ("at", "connection", "is_leaving", "is_settled", "partitions", "since")

    def __init__(
        self,
        at: float,
        *,
        since: float,
        partitions: frozenset[int],
        is_settled: bool,
        is_leaving: bool,
        connection: str,
    ) -> None:
        self.at = at
        self.since = since
        self.partitions = partitions
        self.is_settled = is_settled
        self.is_leaving = is_leaving
        self.connection = connection

    def says_as(self, other: "_Peer") -> bool:
        """Return whether both say the same of who should have what."""
        mine = (self.partitions, self.is_settled, self.is_leaving)
        return mine == (other.partitions, other.is_settled, other.is_leaving)
