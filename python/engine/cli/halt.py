"""`engine halt`: the kill switch of the fleet, or of an account, and when everybody holds."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.campaigns.repository import ATTEMPTS
from engine.cli.asking import DryRun, Note, Yes, agreed
from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.ids import PARTITIONS
from engine.errors import BrokerError, ConfigError, ConflictError
from engine.messaging.permissions import Role
from engine.messaging.subjects import HALT_NAME, share_name
from engine.metrics.board import Board

__all__ = ["command"]

DONE, FAILED = 0, 1
LOOK_S = 0.05
HEARTBEATS_S = 0.4  # long enough to hear every worker alive


class _Halted(msgspec.Struct):
    """What came of it. Partitions by number."""

    halted: bool
    turned: int  # partitions in which the switch was not so before
    seconds: float = 0.0  # from the first write until the last owner had read it
    held: list[int] = []  # by an owner that has read the switch
    waiting: list[int] = []  # by an owner that has not, so far as was waited
    unowned: list[int] = []
    is_seen: bool = True  # False: this user may not see what the fleet does
    is_dry_run: bool = False  # nothing was turned: so many partitions would be


def command(
    *,
    off: Annotated[bool, Parameter(negative="")] = False,
    account: str | None = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: float = 15.0,
    note: Note = "",
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Halt every campaign at once, and say when every partition holds; --off lets them go on.

    No campaign bids from its partition's next round on, and caps stay as they are. States of
    campaigns do not change: --off is enough to go on. Gateways stop what they serve first of all.

    The exit code is 1 where a partition's owner did not read it in time, or a partition has none:
    the bids last given there stay in force until a worker takes it.

    Parameters
    ----------
    off
        Let campaigns bid again.
    account
        Only the campaigns of this account.
    wait
        Seconds to wait for the owners of partitions.
    """
    if not 0 <= wait <= 3600:
        raise ConfigError(f"--wait: seconds from 0 to 3600, found {wait:g}")
    whom = "every campaign" if account is None else f"the campaigns of account {account}"
    if not (yes or dry_run):
        question = f"Let {whom} bid again?" if off else f"Halt {whom}?"
        refused = agreed(question, command="halt", nothing="nothing was changed")
        if refused is not None:
            return refused

    async def work(session: Session) -> int:
        switch = _Switch(session, is_halted=not off, account=account, note=note)
        found = await (switch.look() if dry_run else switch.turn(wait=wait))
        if json:
            as_json(found)
        elif dry_run:
            would = f"would let {whom} bid again" if off else f"would halt {whom}"
            say(f"{would}: {found.turned} partitions to turn")
        else:
            _tell(found, whom)
        return DONE if not found.waiting and not found.unowned else FAILED

    return run(work, nats=nats, role=None if dry_run else Role.PUBLISHER)


class _Switch:
    """The kill switch of the fleet, or of an account: an entry in each partition."""

    def __init__(
        self, session: Session, *, is_halted: bool, account: str | None, note: str
    ) -> None:
        self._session = session
        self._is_halted = is_halted
        self._account = account
        self._note = note

    async def look(self) -> _Halted:
        """Return what turning it would do."""
        found = _Halted(self._is_halted, await self._write(dry_run=True), is_dry_run=True)
        await self._revisions()
        return found

    async def turn(self, *, wait: float) -> _Halted:
        """Turn it, and wait until every owner has read it, or has had time enough."""
        session, clock = self._session, self._session.clock
        began = clock.monotonic()
        found = _Halted(self._is_halted, await self._write())
        revisions = await self._revisions()
        if not revisions:  # let go on what was never halted
            return found
        board = Board(broker=session.broker, clock=clock)
        try:
            async with board.following():
                await _wait(session, board, revisions, found, until=began + wait)
        except BrokerError:
            found.is_seen = False
        found.seconds = round(clock.monotonic() - began, 3)
        return found

    async def _write(self, *, dry_run: bool = False) -> int:
        """Turn it; whoever turns it at the same time goes first, and then it is turned."""
        repository = self._session.repository
        for _ in range(ATTEMPTS):
            try:
                if self._account is None:
                    return await repository.halt(self._is_halted, note=self._note, dry_run=dry_run)
                return await repository.halt_account(
                    self._account, self._is_halted, note=self._note, dry_run=dry_run
                )
            except ConflictError as error:
                conflict = error
        raise conflict

    async def _revisions(self) -> dict[int, int]:
        """Return where it stands by partition. Raises ConfigError for an account of nobody."""
        name = HALT_NAME if self._account is None else share_name(self._account)
        revisions: dict[int, int] = {}
        for partition in range(PARTITIONS):
            entry = await self._session.broker.campaigns.get_control(partition, name)
            if entry is not None:
                revisions[partition] = entry.sequence
        if self._account is not None and not revisions:
            wanted = "an account that campaigns name"
            raise ConfigError(f"--account: {wanted}, found {self._account!r}")
        return revisions


async def _wait(
    session: Session, board: Board, revisions: dict[int, int], found: _Halted, *, until: float
) -> None:
    """Wait until every owner has read the switch, or has had time enough."""
    clock = session.clock
    heard_by = clock.monotonic() + HEARTBEATS_S
    while True:
        owned = board.held()
        read = {
            partition
            for partition, revision in revisions.items()
            if partition in board.owners and board.owners[partition].campaigns_revision >= revision
        }
        found.held = sorted(read & owned.keys())
        found.waiting = sorted(revisions.keys() & owned.keys() - read)
        # What was never owned and has no campaigns has no bids in force either.
        busy = board.owners.keys()
        found.unowned = sorted(revisions.keys() & busy - owned.keys() - read)
        now = clock.monotonic()
        if now >= until or (now >= heard_by and not found.waiting):
            return
        await clock.sleep(LOOK_S)


def _tell(found: _Halted, whom: str) -> None:
    say(f"{whom} {'halted' if found.halted else 'may bid'}: {found.turned} partitions turned")
    if not found.is_seen:
        complain(
            "this user may not see the fleet; engine status, as operator, says who has read it"
        )
        return
    if found.held:
        verb = "hold" if found.halted else "go on"
        say(f"{len(found.held)} partitions {verb}, the last after {found.seconds:.1f} s")
    if found.waiting:
        complain(f"partitions {_numbers(found.waiting)} have not read it in {found.seconds:.1f} s")
    if found.unowned:
        complain(
            f"partitions {_numbers(found.unowned)} have no owner: the bids last given there stay "
            "in force until a worker takes them"
        )


def _numbers(partitions: list[int]) -> str:
    shown = ", ".join(map(str, partitions[:12]))
    more = len(partitions) - 12
    return f"{shown} and {more} more" if more > 0 else shown
