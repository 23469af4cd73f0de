"""`engine decisions`: what the fleet decided, read from the decision chain."""

import asyncio
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.decided import newest_decisions, newest_of
from engine.cli.arguments import Whole
from engine.cli.output import as_json, complain, flush, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.domain.ids import is_campaign_id, partition_of
from engine.domain.money import from_micros
from engine.domain.reasons import condition_words, platform_sentence, sentence
from engine.errors import MalformedMessageError
from engine.messaging.ports import Message
from engine.messaging.records import Decide, decisions_of, decode_record

__all__ = ["command", "decision_json", "decision_line"]

DONE, NOT_UNDERSTOOD = 0, 2


def command(
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    campaign: str | None = None,
    limit: Annotated[Whole, Parameter(name=["--limit", "-n"])] = 20,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Print the newest decisions, oldest first; only those that changed something are recorded.

    Parameters
    ----------
    follow
        Go on with those that are made from now on, until Ctrl-C.
    campaign
        Only decisions for this campaign.
    limit
        How many to begin with.
    json
        Print JSON, one decision a line.
    """
    if limit < 0:
        complain(f"engine decisions: --limit of 0 or more, found {limit}")
        return NOT_UNDERSTOOD
    if campaign is not None and not is_campaign_id(campaign):
        complain(f"engine decisions: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {campaign!r}")
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        chain = session.broker.chain
        if campaign is None:
            newest, position = await newest_decisions(chain, limit=limit)
        else:
            newest, _, position = await newest_of(chain, campaign, limit=limit)
        for decision in newest:
            _print(decision, json=json)
        if follow:
            await _follow(session, campaign, after=position, json=json)
        elif not newest and limit and not json:
            complain("no decisions yet" if campaign is None else f"no decisions for {campaign} yet")
        return DONE

    return run(work, nats=nats)


async def _follow(session: Session, campaign: str | None, *, after: int, json: bool) -> None:
    """Print decisions as they come, until this is cancelled."""
    messages: asyncio.Queue[Message] = asyncio.Queue()
    partitions = None if campaign is None else [partition_of(campaign)]
    flush()
    async with session.broker.chain.follow(messages.put_nowait, partitions=partitions, after=after):
        while True:
            message = await messages.get()
            try:
                record = decode_record(f"decisions {message.partition}", message.payload)
            except MalformedMessageError as error:
                complain(str(error))
                continue
            for decision in decisions_of(record) if isinstance(record, Decide) else ():
                if campaign is None or decision.campaign == campaign:
                    _print(decision, json=json)
            if messages.empty():
                flush()


def _print(decision: Decision, *, json: bool) -> None:
    if json:
        as_json(decision_json(decision))
    else:
        say(f"{decision_line(decision)}  {sentence(decision)}")


def decision_json(decision: Decision) -> dict[str, object]:
    """Return a decision with its action and constraint by name; money stays in micros."""
    fields = {name: getattr(decision, name) for name in decision.__struct_fields__}
    platforms = [
        {name: getattr(one, name) for name in one.__struct_fields__}
        | {"bound_by": _name(one.bound_by)}
        | {"condition": None if one.condition is None else _name(one.condition)}
        for one in decision.platforms
    ]
    return fields | {
        "action": _name(decision.action),
        "binding": _name(decision.binding),
        "reason": sentence(decision),
        "platforms": platforms,
    }


def decision_line(decision: Decision) -> str:
    """Return a decision as a line for people."""
    platforms = "  ".join(_bid(one, decision.best_platform) for one in decision.platforms)
    return (
        f"{utc(decision.at)}  p{decision.partition} r{decision.round}  {decision.campaign}  "
        f"{_name(decision.action)} ({_name(decision.binding)})  {platforms}  "
        f"pace {decision.pacing_multiplier:.2f}  spent {from_micros(decision.settled_micros)} "
        f"+ {from_micros(decision.reserved_micros)} reserved"
    )


def _bid(one: PlatformDecision, best: str | None) -> str:
    mark = "*" if one.platform == best else ""
    bid = from_micros(one.bid_micros) if one.bid_micros else "-"
    roi = "-" if one.roi_micros is None else f"{one.roi_micros / 1e6:+.2f}"
    words = [platform_sentence(one), condition_words(one)]
    said = "".join(f", {word}" for word in words if word)
    return f"{one.platform}{mark} {bid} (roi {roi}, confidence {one.confidence:.2f}{said})"


def _name(code: Action | Binding | Condition) -> str:
    return code.name.lower().replace("_", "-")
