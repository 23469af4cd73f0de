"""The life of a campaign, as a state machine: seven states and the ways between them.

draft ──► scheduled ──► active ◄──► paused
                          │  ▲
                          ▼  │ (budget raised)
                       exhausted
completed: the flight is over.  stopped: somebody ended it.  Both are final.
"""

from enum import Enum

from engine.errors import TransitionError

__all__ = ["LEGAL", "State", "transition"]


class State(Enum):
    """Where a campaign is in its life. Only `ACTIVE` bids."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    COMPLETED = "completed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        return not LEGAL[self]


LEGAL: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.SCHEDULED, State.ACTIVE, State.STOPPED}),
    State.SCHEDULED: frozenset({State.ACTIVE, State.PAUSED, State.COMPLETED, State.STOPPED}),
    State.ACTIVE: frozenset({State.PAUSED, State.EXHAUSTED, State.COMPLETED, State.STOPPED}),
    State.PAUSED: frozenset({State.SCHEDULED, State.ACTIVE, State.COMPLETED, State.STOPPED}),
    State.EXHAUSTED: frozenset({State.ACTIVE, State.PAUSED, State.COMPLETED, State.STOPPED}),
    State.COMPLETED: frozenset(),
    State.STOPPED: frozenset(),
}


def transition(campaign: str, current: State, wanted: State) -> State:
    """Return `wanted` where the lifecycle allows it from `current`.

    Raises TransitionError, which names the legal ways from here.
    """
    if wanted not in LEGAL[current]:
        legal = tuple(sorted(state.value for state in LEGAL[current]))
        raise TransitionError(campaign, current.value, wanted.value, legal)
    return wanted
