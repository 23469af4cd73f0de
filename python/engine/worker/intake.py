"""What comes in to a partition: its history when it is taken, then entries and frames."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from engine.clock import Clock
from engine.messaging.ports import Broker, Follower, Message
from engine.worker.inbox import Inbox, Room
from engine.worker.recovery import History, Replay, read_history
from engine.worker.state import Bury, State

__all__ = ["Intake", "Recovered"]

_log = structlog.get_logger(__name__)


class Recovered:
    """A state at the head of its chain. `evidence` is empty where the replay came out the same."""

    def __init__(self, state: State, history: History, replay: Replay, *, is_new: bool) -> None:
        self.state = state
        self.head = history.head
        self.epoch = history.last.epoch if history.last is not None else 0
        self.rounds = replay.rounds
        self.evidence = replay.evidence
        self.is_new = is_new  # no snapshot fitted


class Intake:
    """Recovers the state of one partition and follows its inputs from there.

    `inbox` is what has come and waits for a round; `overflow` is called when it is full. While
    there is no `room` left, the broker is asked for no more frames.
    """

    def __init__(
        self,
        partition: int,
        *,
        broker: Broker,
        clock: Clock,
        overflow: Callable[[], None],
        room: Room | None = None,
    ) -> None:
        self._room = room or Room()
        self.inbox = Inbox(room=self._room)
        self._partition = partition
        self._broker = broker
        self._clock = clock
        self._overflow = overflow
        self._replay: Replay | None = None
        self._frames: Follower | None = None

    @property
    def waiting_in_stream(self) -> int:
        """Return how many frames are stored and have not come yet, as far as is known."""
        return (self._frames.lag or 0) if self._frames is not None else 0

    @property
    def lag(self) -> int:
        """Return how many frames are stored and not counted in yet, as far as is known."""
        return self.inbox.frames + self.waiting_in_stream

    async def recover(
        self, inputs: AsyncExitStack, *, new_state: Callable[[], State], bury: Bury, replays: bool
    ) -> Recovered:
        """Return the state at the chain's head; `inputs` then keep what follows it coming.

        `replays`: from the newest snapshot, or from the chain's first record, deciding again what
        was decided after it. Otherwise from nothing, with the chain's ledger for the truth.

        Raises:
            MalformedMessageError: the chain cannot be read.
            BrokerError: the broker stays away, or refuses.
        """
        await inputs.aclose()
        self.inbox.clear()
        self.inbox = Inbox(largest=self.inbox.largest, room=self._room)
        number, broker = self._partition, self._broker
        # The chain first, its inputs after: what a record counted had been stored before it.
        found, history = await read_history(
            number,
            chain=broker.chain,
            snapshots=broker.snapshots if replays else None,
            bury=bury,
        )
        state = found or new_state()
        # What begins in the midst of a chain cannot come out as it did: its book was not empty.
        decides = replays and (found is not None or history.is_from_origin)
        if not decides:
            _log.warning("ledger_taken_from_chain", partition=number, rounds=len(history.steps))
        self._replay = replay = Replay(
            state=state, inbox=self.inbox, history=history, decides=decides
        )
        entries = await inputs.enter_async_context(
            broker.campaigns.follow(
                self.inbox.add_entry,
                partitions=[number],
                after=state.campaigns_revision,
                with_history=found is None,  # rounds are decided again under what was in force
                controls=True,
                opened=False,
            )
        )
        self._frames = await inputs.enter_async_context(
            broker.frames.follow(
                self._frame_delivered,
                partitions=[number],
                after=state.metrics_sequence,
                opened=False,
                wants_more=self._wants_more,
            )
        )
        await entries.caught_up()
        if found is None:
            replay.open_early()
        replay.begin()
        if history.last is not None:  # a chain that has not begun has counted nothing
            await self._frames.caught_up(up_to=history.last.metrics_sequence)
        await replay.finish(self._clock)
        self._replay = None
        return Recovered(state, history, replay, is_new=found is None)

    def go_on(self) -> None:
        """Say that frames were taken: there may be room again."""
        if self._frames is not None:
            self._frames.go_on()

    def _wants_more(self) -> bool:
        """Return whether frames may come. A replay takes them as they come, and needs them all."""
        return self._room.is_left or self._replay is not None

    def _frame_delivered(self, message: Message) -> None:
        if self._replay is not None:
            self._replay.frame(message)
            return
        self.inbox.add_frame(message)
        if self.inbox.is_full:
            self._overflow()
