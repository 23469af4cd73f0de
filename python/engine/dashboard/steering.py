"""What a dashboard that may change something changes: states of campaigns, the kill switch."""

from typing import Protocol

from engine.domain.lifecycle import State

__all__ = ["VERBS", "Steering"]

VERBS = ("pause", "resume", "stop")


class Steering(Protocol):
    """Changes campaigns as the command line does: by legal transitions, compare-and-swap."""

    async def move(self, campaign: str, verb: str, *, note: str) -> tuple[State, State]:
        """Pause, resume or stop a campaign; return its state before and now.

        Raises:
            DefinitionError: there is no such campaign, or its flight is over.
            TransitionError: the lifecycle does not allow it.
            ConflictError: others changed it faster than it could be read.
            BrokerError: the broker stays away, or refuses.
        """
        ...

    async def halt(self, is_halted: bool, *, note: str) -> int:
        """Turn the kill switch of the whole fleet; return in how many partitions it was turned.

        Raises ConflictError, BrokerError.
        """
        ...
