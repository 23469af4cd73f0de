"""`engine pause`, `resume` and `stop`: campaigns through their life, by legal ways only."""

import sys
from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.files.rows import shown
from engine.campaigns.repository import state_by_flight
from engine.cli.output import as_json, complain, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.campaign import Campaign
from engine.domain.ids import is_campaign_id
from engine.domain.lifecycle import State
from engine.errors import ConflictError, DefinitionError, TransitionError
from engine.messaging.permissions import Role

__all__ = ["pause_command", "resume_command", "stop_command"]

DONE, FAILED, NOT_UNDERSTOOD = 0, 1, 2

Note = Annotated[str, Parameter(help="Why, for people.")]


def pause_command(*ids: str, note: Note = "", json: AsJson = False, nats: Nats = None) -> int:
    """Pause campaigns: no new bids until they are resumed.

    Parameters
    ----------
    ids
        Ids of campaigns.
    """
    return _move("pause", ids, lambda _, now: State.PAUSED, note=note, json=json, nats=nats)


def resume_command(*ids: str, note: Note = "", json: AsJson = False, nats: Nats = None) -> int:
    """Let paused, exhausted or draft campaigns run: at once in their flight, scheduled before it.

    Parameters
    ----------
    ids
        Ids of campaigns.
    """

    def wanted(campaign: Campaign, now: float) -> State:
        state = state_by_flight(campaign.definition, now)
        if state is State.COMPLETED:
            ends_at = utc(campaign.definition.flight.ends_at)
            raise DefinitionError("flight.ends_at", "a flight that is not over", ends_at)
        return state

    return _move("resume", ids, wanted, note=note, json=json, nats=nats)


def stop_command(
    *ids: str,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False,
    note: Note = "",
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """End campaigns, for good: a stopped campaign never bids again.

    Parameters
    ----------
    ids
        Ids of campaigns.
    yes
        Do not ask.
    """
    if ids and not yes:
        if not sys.stdin.isatty():
            complain("engine stop: a stop is final; without a terminal to ask on, add --yes")
            return NOT_UNDERSTOOD
        sys.stderr.write(f"Stop {', '.join(ids)} for good? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            complain("nothing was stopped")
            return FAILED
    return _move("stop", ids, lambda _, now: State.STOPPED, note=note, json=json, nats=nats)


def _move(
    verb: str,
    ids: tuple[str, ...],
    wanted: Callable[[Campaign, float], State],
    *,
    note: str,
    json: bool,
    nats: str | None,
) -> int:
    if not ids:
        complain(f"engine {verb}: at least one campaign id, found none")
        return NOT_UNDERSTOOD
    for campaign in ids:
        if not is_campaign_id(campaign):
            complain(f"engine {verb}: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {campaign!r}")
            return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        rows = [await _move_one(session, one, wanted, note) for one in dict.fromkeys(ids)]
        if json:
            as_json(rows)
        else:
            for row in rows:
                _print(row)
        return FAILED if any("error" in row for row in rows) else DONE

    return run(work, nats=nats, role=Role.PUBLISHER)


async def _move_one(
    session: Session, campaign: str, wanted: Callable[[Campaign, float], State], note: str
) -> dict[str, str]:
    """Move one campaign; one that cannot be moved does not keep the others from it."""
    try:
        before, after = await session.repository.move(
            campaign, lambda one: wanted(one, session.clock.now()), note=note
        )
    except DefinitionError as error:
        line = f"{campaign}: wanted {error.wanted}, found {shown(error.found)}"
        return {"campaign": campaign, "error": line}
    except (TransitionError, ConflictError) as error:
        return {"campaign": campaign, "error": str(error)}
    return {"campaign": campaign, "was": before.value, "state": after.value}


def _print(row: dict[str, str]) -> None:
    if "error" in row:
        complain(row["error"])
    else:
        say(f"{row['campaign']}: {row['was']} → {row['state']}")
