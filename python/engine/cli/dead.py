"""`engine dead`: what could not be read, why, and sending it again."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from engine.campaigns.redelivery import redeliver
from engine.cli.arguments import Whole
from engine.cli.output import as_json, complain, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.messaging.permissions import Role
from engine.messaging.ports import DeadLetter

__all__ = ["list_command", "retry_command", "show_command"]

DONE, FAILED, NOT_UNDERSTOOD = 0, 1, 2
_WIDTH = 100  # of a reason in the list
_SHOWN = 512  # bytes of a payload


def list_command(
    *,
    origin: str = "",
    limit: Annotated[Whole, Parameter(name=["--limit", "-n"])] = 50,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """List dead letters, the newest first. They are kept for seven days.

    Parameters
    ----------
    origin
        Only those whose origin begins so, such as engine.metrics.
    limit
        How many to print.
    """
    if limit < 1:
        complain(f"engine dead list: --limit of 1 or more, found {limit}")
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        letters = [one async for one in session.broker.dead_letters.all()]
        found = [one for one in reversed(letters) if one.origin.startswith(origin)]
        if json:
            as_json([_json(one) for one in found[:limit]])
            return DONE
        for one in found[:limit]:
            reason = " ".join(one.reason.split())
            clipped = reason if len(reason) <= _WIDTH else f"{reason[: _WIDTH - 1]}…"
            say(f"{one.sequence:>8}  {_when(one)}  {one.origin}  {len(one.payload)} B  {clipped}")
        if not found:
            complain("no dead letters")
        elif len(found) > limit:
            complain(f"{limit:,} of {len(found):,} dead letters; --limit N shows more")
        return DONE

    return run(work, nats=nats)


def show_command(sequence: Whole, /, *, json: AsJson = False, nats: Nats = None) -> int:
    """Show a dead letter whole: origin, reason and payload.

    Parameters
    ----------
    sequence
        Its number in the list.
    """

    async def work(session: Session) -> int:
        letter = (await _letters(session, [sequence])).get(sequence)
        if letter is None:
            complain(f"engine dead show: a letter of the list, found none with number {sequence}")
            return FAILED
        if json:
            as_json(_json(letter) | {"payload": letter.payload})
            return DONE
        say(f"number   {letter.sequence}\nstored   {_when(letter)}\norigin   {letter.origin}")
        say(f"reason   {letter.reason}\npayload  {len(letter.payload)} bytes")
        for line in _dump(letter.payload[:_SHOWN]):
            say(line)
        if len(letter.payload) > _SHOWN:
            complain(f"the first {_SHOWN} bytes; --json has them all")
        return DONE

    return run(work, nats=nats)


def retry_command(
    *sequences: Whole,
    all: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - the flag's name
    origin: str = "",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Send dead letters to the streams they came from again, and forget them here.

    For after an upgrade, or a repair: what is still not readable stays in the list. Asked twice,
    nothing is counted twice. Frames of samples and campaigns can be sent again, nothing else.

    Parameters
    ----------
    sequences
        Their numbers in the list.
    all
        All of them (or all whose origin begins as --origin says).
    origin
        With --all: only those whose origin begins so.
    dry_run
        Say what would be done, and change nothing.
    """
    if bool(sequences) == all:
        complain(
            "engine dead retry: numbers of letters or --all, found " + ("both", "none")[not all]
        )
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        letters = await _letters(session, None if all else sequences)
        outcomes = [
            await redeliver(session.broker, one, dry_run=dry_run)
            for one in letters.values()
            if not all or one.origin.startswith(origin)
        ]
        rows: list[dict[str, object]] = [
            {"sequence": one.letter.sequence, "origin": one.letter.origin}
            | {"result": one.result, "reason": one.reason}
            for one in outcomes
        ]
        gone = sorted(set(sequences) - set(letters))
        rows += [{"sequence": one, "origin": "", "result": "gone", "reason": ""} for one in gone]
        if json:
            as_json(rows)
        else:
            for row in rows:
                why = f": {row['reason']}" if row["reason"] else ""
                would = "would be " if dry_run and row["result"] == "retried" else ""
                say(f"{row['sequence']:>8}  {would}{row['result']}{why}")
            if not rows:
                complain("no dead letters")
        return FAILED if any(not one.is_done for one in outcomes) else DONE

    return run(work, nats=nats, role=Role.OPERATOR, writes=not dry_run)


async def _letters(session: Session, wanted: Iterable[int] | None) -> dict[int, DeadLetter]:
    """Return letters by number, oldest first."""
    numbers = None if wanted is None else set(wanted)
    return {
        one.sequence: one
        async for one in session.broker.dead_letters.all()
        if numbers is None or one.sequence in numbers
    }


def _json(letter: DeadLetter) -> dict[str, object]:
    return {
        "sequence": letter.sequence,
        "at": letter.at,
        "origin": letter.origin,
        "reason": letter.reason,
        "bytes": len(letter.payload),
    }


def _when(letter: DeadLetter) -> str:
    return utc(letter.at) if letter.at else "-"


def _dump(payload: bytes) -> Iterable[str]:
    """Return lines of 16 bytes: place, hexadecimal, and what of it is text."""
    for at in range(0, len(payload), 16):
        row = payload[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{at:08x}  {row.hex(' '):<47}  {text}"
