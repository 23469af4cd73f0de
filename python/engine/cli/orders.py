"""Orders to campaigns (pause, resume, stop): the state that each wants, and how it is asked for."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.repository import state_by_flight
from engine.cli.arguments import Whole
from engine.cli.asking import DryRun, Note, Yes
from engine.cli.choosing import WhereText
from engine.cli.output import utc
from engine.cli.session import AsJson, Nats
from engine.domain.campaign import Campaign
from engine.domain.lifecycle import State
from engine.errors import DefinitionError

__all__ = ["DONE", "Order", "wanted"]

DONE = {"pause": "paused", "resume": "resumed", "stop": "stopped"}


@Parameter(name="*")  # its fields are the command's flags
@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for, beside the campaigns that are named."""

    where: WhereText = None
    yes: Yes = False
    dry_run: DryRun = False
    expect: Annotated[
        Whole | None,
        Parameter(
            help="With --where: change nothing unless just so many campaigns would be moved."
        ),
    ] = None
    note: Note = ""
    json: AsJson = False
    nats: Nats = None


def wanted(verb: str, campaign: Campaign, now: float) -> State:
    """Return the state that an order wants. Raises DefinitionError where a flight is over."""
    if verb == "pause":
        return State.PAUSED
    if verb == "stop":
        return State.STOPPED
    state = state_by_flight(campaign.definition, now)
    if state is State.COMPLETED:
        ended = utc(campaign.definition.flight.ends_at)
        raise DefinitionError("flight.ends_at", "a flight that is not over", ended)
    return state
