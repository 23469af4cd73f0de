"""`engine status`: the fleet in a few lines, and whether somebody has to look at it."""

import msgspec

from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State
from engine.messaging.gateway_status import GatewayStatus
from engine.metrics.board import Board

__all__ = ["Status", "WorkerLine", "command", "status_of"]

DONE, UNWELL = 0, 1
LISTEN_S = 0.45  # every worker alive is heard four times
GATEWAYS_S = 1.2  # a gateway speaks once a second
STALE_ROUNDS = 3  # rounds missed in a row before a partition is held to be stale
STALE_S = 5.0  # and never before so long: a takeover is no finding
_LETTERS = 1_000


class WorkerLine(msgspec.Struct, frozen=True):
    """A worker, as it says it is."""

    worker: str
    version: str
    partitions: int
    rounds: int
    lag_frames: int
    round_ms: float
    late_rounds: int
    skipped_rounds: int
    shed_share: float  # of the work of all rounds that is left out now
    is_draining: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know, and what of it is wrong, in words."""

    connected: bool
    workers: list[WorkerLine]
    partitions_owned: int
    partitions_unowned: list[int]  # that have campaigns which may bid, and no owner
    partitions_stale: list[int]  # owned, and not decided for too long
    newest_round_age_s: float | None  # of the partition that decided last
    oldest_round_age_s: float | None  # of the one that should have decided and did not, longest
    interval_s: float | None  # between rounds, as the chain shows it
    lag_frames: int
    campaigns: dict[str, int]  # by state
    holding: dict[str, int]  # active campaigns that hold, by what bound them
    halted_partitions: int
    halted_accounts: list[str]
    dead_letters: int
    dead_letters_are_more: bool
    gateways: list[GatewayStatus]
    findings: list[str]  # what is not as it should be


def command(*, json: AsJson = False, nats: Nats = None) -> int:
    """Say in a few lines how the fleet is: workers, partitions, lag, rounds, dead letters, halts.

    The exit code is 1 where something wants somebody to look at it, and the last lines say what.
    """

    async def work(session: Session) -> int:
        status = await status_of(session)
        if json:
            as_json(status)
        else:
            _tell(status)
        return UNWELL if status.findings else DONE

    return run(work, nats=nats)


async def status_of(session: Session) -> Status:
    """Return how the fleet is: takes the second or so in which everybody alive is heard."""
    board = Board(broker=session.broker, clock=session.clock)
    async with board.following():
        await session.clock.sleep(LISTEN_S)
        if not board.gateways():
            await session.clock.sleep(GATEWAYS_S - LISTEN_S)
        letters = 0
        async for _ in session.broker.dead_letters.all():
            letters += 1
            if letters > _LETTERS:
                break
        return _judged(board, session, letters)


def _judged(board: Board, session: Session, letters: int) -> Status:
    now_ms = session.clock.now() * 1000
    alive = {name: one.beat for name, one in board.workers().items() if one.is_alive}
    held = board.held()
    states: dict[str, int] = {}
    busy: set[int] = set()
    for name, campaign in board.campaigns.items():
        states[campaign.state.value] = states.get(campaign.state.value, 0) + 1
        if campaign.state is State.ACTIVE:
            busy.add(partition_of(name))
    interval_s = board.interval_s()
    ages = {
        partition: (now_ms - owner.decided_at_ms) / 1000
        for partition, owner in board.owners.items()
        if owner.decided_at_ms and partition in busy
    }
    limit = max(STALE_ROUNDS * (interval_s or 2.0), STALE_S)
    stale = sorted(p for p, age in ages.items() if p in held and age > limit)
    unowned = sorted(busy - held.keys())
    halted = [p for p, halt in board.halted.items() if halt.is_halted]
    accounts = sorted({name for (name, _), one in board.shares.items() if one.is_halted})
    status = Status(
        connected=session.broker.is_connected,
        workers=[
            WorkerLine(
                name,
                beat.version,
                len(beat.partitions),
                beat.rounds,
                beat.lag_frames,
                round(beat.round_ms, 1),
                beat.late_rounds,
                beat.skipped_rounds,
                beat.shed_share,
                beat.draining,
            )
            for name, beat in alive.items()
        ],
        partitions_owned=len(held),
        partitions_unowned=unowned,
        partitions_stale=stale,
        newest_round_age_s=_rounded(min(ages.values(), default=None)),
        oldest_round_age_s=_rounded(max(ages.values(), default=None)),
        interval_s=interval_s,
        lag_frames=sum(beat.lag_frames for beat in alive.values()),
        campaigns=dict(sorted(states.items())),
        holding=board.holding(),
        halted_partitions=len(halted),
        halted_accounts=accounts,
        dead_letters=min(letters, _LETTERS),
        dead_letters_are_more=letters > _LETTERS,
        gateways=list(board.gateways().values()),
        findings=[],
    )
    return msgspec.structs.replace(status, findings=_findings(status))


def _findings(status: Status) -> list[str]:
    found = []
    if not status.workers:
        found.append("no worker is alive: bids stay as they were last given (engine worker)")
    elif status.partitions_unowned:
        number = len(status.partitions_unowned)
        found.append(f"{number} partitions with active campaigns have no owner")
    if status.partitions_stale:
        found.append(
            f"{len(status.partitions_stale)} partitions have not decided for "
            f"{status.oldest_round_age_s:.0f} s: the worker's log says why"
        )
    if status.halted_partitions:
        of_all = f"{status.halted_partitions} of {PARTITIONS}"
        found.append(f"the kill switch is on in {of_all} partitions (engine halt --off)")
    if status.halted_accounts:
        found.append(f"accounts {', '.join(status.halted_accounts)} are halted")
    if status.dead_letters:
        more = "more than " if status.dead_letters_are_more else ""
        found.append(f"{more}{status.dead_letters:,} dead letters (engine dead list)")
    found += [
        f"{one.worker} leaves out {one.shed_share:.0%} of its work: add workers"
        for one in status.workers
        if one.shed_share
    ]
    versions = {one.version for one in status.workers}
    if len(versions) > 1:
        found.append(f"workers of versions {', '.join(sorted(versions))}: upgrade the others")
    for gateway in status.gateways:
        if gateway.is_halted:
            found.append(f"gateway {gateway.gateway} is halted")
        for one in gateway.accounts:
            if one.breaker != "closed":
                where = f"{one.platform}/{one.ad_account}"
                found.append(f"gateway {gateway.gateway}: the breaker of {where} is {one.breaker}")
    return found


def _tell(status: Status) -> None:
    owned = f"{status.partitions_owned} of {PARTITIONS} partitions owned"
    say(f"workers     {len(status.workers)} alive, {owned}, lag {status.lag_frames:,} frames")
    width = max((len(one.worker) for one in status.workers), default=0)
    for one in status.workers:
        drains = ", draining" if one.is_draining else ""
        say(
            f"  {one.worker:<{width}}  {one.partitions} partitions, {one.rounds:,} rounds, newest "
            f"{one.round_ms:.1f} ms, late {one.late_rounds:,}, skipped {one.skipped_rounds:,}, "
            f"lag {one.lag_frames:,}, version {one.version or 'unknown'}{drains}"
        )
    if status.newest_round_age_s is not None:
        every = "" if status.interval_s is None else f", one every {status.interval_s:g} s"
        say(
            f"rounds      newest {status.newest_round_age_s:.1f} s ago, oldest of a partition "
            f"{status.oldest_round_age_s:.1f} s{every}"
        )
    states = ", ".join(f"{count:,} {state}" for state, count in status.campaigns.items())
    say(f"campaigns   {states or 'none'}")
    if status.holding:
        held = ", ".join(f"{count:,} {why}" for why, count in status.holding.items())
        say(f"holding     {held}")
    for gateway in status.gateways:
        live = sum(one.is_live for one in gateway.accounts)
        waiting = sum(one.waiting for one in gateway.accounts)
        say(
            f"gateway     {gateway.gateway}: {len(gateway.accounts)} ad accounts, {live} live, "
            f"{waiting:,} changes waiting"
        )
    if not status.gateways:
        say("gateway     none heard")
    for line in status.findings:
        complain(f"!  {line}")
    if not status.findings:
        say("all is well")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
