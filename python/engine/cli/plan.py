"""`engine plan` and `engine apply`: what files would change, field by field, and then doing it."""

from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from engine.campaigns.accounts import Dealer
from engine.campaigns.files.reader import Found, Reading, read_accounts, read_definitions
from engine.campaigns.files.rows import Problem
from engine.campaigns.planning import Plan, Planned, apply_one, plan_of
from engine.campaigns.publisher import Outcome, RefusedError, problem_of
from engine.cli.asking import DryRun, Note, Yes, agreed
from engine.cli.moving import move_all
from engine.cli.output import as_json, complain, progress, say, show_problems
from engine.cli.session import AsJson, Nats, Session, run
from engine.clock import SystemClock
from engine.messaging.permissions import Role

__all__ = ["apply_command", "plan_command"]

DONE, IN_PART, NOTHING_READ = 0, 1, 2
CHANGES = 2  # with --detailed-exitcode
MOST_SHOWN = 100  # campaigns
_MOST_FIELDS = 12  # of a campaign that would be created

Draft = Annotated[bool, Parameter(negative="", help="Leave new campaigns as drafts.")]
Accounts = Annotated[
    list[Path] | None,
    Parameter(name="--accounts", help="A file of accounts; may be given several times."),
]


class _Read(NamedTuple):
    """Files, read, and what they would change."""

    reading: Reading
    plan: Plan
    accounts: list[str]  # what would become of them, in a line each

    @property
    def problems(self) -> list[Problem]:
        return [*self.reading.problems, *self.plan.problems]


def plan_command(
    *files: Path,
    missing: Annotated[bool, Parameter(negative="")] = False,
    draft: Draft = False,
    accounts: Accounts = None,
    detailed_exitcode: Annotated[bool, Parameter(negative="")] = False,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Say what files of campaigns would change, field by field. Nothing is changed.

    Exit codes: 0 whether or not there are changes, 1 where a campaign is refused, 2 where files
    cannot be understood. With --detailed-exitcode 2 says that there are changes.

    Parameters
    ----------
    files
        Files of campaigns, in any format of `engine publish`.
    missing
        List live campaigns that none of the files names. They stay as they are.
    detailed_exitcode
        Exit with 2 where something would change, 0 where nothing would.
    """
    if not files:
        complain("engine plan: at least one file, found none (engine plan --help)")
        return NOTHING_READ
    read = _read(files, accounts, draft=draft, nats=nats)
    if json:
        as_json(_json(read))
    else:
        _show(read, with_missing=missing)
    if read.problems:
        return IN_PART if read.reading.rows else NOTHING_READ
    return CHANGES if detailed_exitcode and (read.plan.todo or read.accounts) else DONE


def apply_command(
    *files: Path,
    yes: Yes = False,
    dry_run: DryRun = False,
    draft: Draft = False,
    accounts: Accounts = None,
    note: Note = "applied",
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Change campaigns to what files say: shows the plan, asks, and carries it out.

    A campaign is changed as a whole or not at all, and only where it still is as the plan shows
    it. Interrupted, it is simply started again: what is done is unchanged then.

    Parameters
    ----------
    files
        Files of campaigns, in any format of `engine publish`.
    """
    if not files:
        complain("engine apply: at least one file, found none (engine apply --help)")
        return NOTHING_READ
    read = _read(files, accounts, draft=draft, nats=nats)
    if not json:
        _show(read, with_missing=False)
    todo, count = read.plan.todo, len(read.plan.todo)
    if dry_run or not (todo or read.accounts):
        if json:
            as_json(_json(read) | {"applied": 0})
        return (IN_PART if read.reading.rows else NOTHING_READ) if read.problems else DONE
    if not yes:
        question = f"Apply {count:,} changes?" if count else "Deal the accounts?"
        refused = agreed(question, command="apply", nothing="nothing was changed")
        if refused is not None:
            return refused
    return _apply(read, draft=draft, note=note, json=json, nats=nats)


def _read(
    files: tuple[Path, ...], accounts: list[Path] | None, *, draft: bool, nats: str | None
) -> _Read:
    with progress("reading", None) as tell:
        reading = read_definitions(files, now=SystemClock().now(), progress=tell)
    if accounts:
        more, problems = read_accounts(accounts)
        reading.accounts.extend(more)
        reading.problems.extend(problems)
    made: list[_Read] = []

    async def work(session: Session) -> int:
        dealt, admitted, refused = await _dealer(session).deal(
            reading.accounts, reading.found, dry_run=True
        )
        stored = {one.campaign.definition.id: one async for one in session.repository.all()}
        plan = plan_of(admitted, stored, now=session.clock.now(), as_draft=draft)
        reading.problems.extend(refused)
        made.append(_Read(reading, plan, [str(one) for one in dealt if one.written]))
        return DONE

    run(work, nats=nats)
    return made[0]


def _dealer(session: Session) -> Dealer:
    return Dealer(repository=session.repository, chain=session.broker.chain, clock=session.clock)


def _apply(read: _Read, *, draft: bool, note: str, json: bool, nats: str | None) -> int:
    outcomes = dict.fromkeys(Outcome, 0)
    problems: list[Problem] = []

    async def one_of(session: Session, one: Planned) -> Outcome | Problem:
        try:
            return await apply_one(
                one,
                repository=session.repository,
                clock=session.clock,
                as_draft=draft,
                note=note,
            )
        except RefusedError as error:
            return problem_of(one.found, error)

    async def work(session: Session) -> int:
        found: list[Found] = [one.found for one in read.plan.todo]
        dealt, admitted, refused = await _dealer(session).deal(read.reading.accounts, found)
        for account in dealt:
            complain(str(account))
        problems.extend(refused)
        may = {one.definition.id for one in admitted}
        todo = [one for one in read.plan.todo if one.campaign in may]
        with progress("applying", len(todo)) as tell:

            def done(result: Outcome | Problem) -> None:
                if isinstance(result, Problem):
                    problems.append(result)
                else:
                    outcomes[result] += 1
                tell(sum(outcomes.values()) + len(problems))

            await move_all(todo, lambda one: one_of(session, one), done)
        return DONE

    is_whole = False
    try:
        run(work, nats=nats, role=Role.PUBLISHER)
        is_whole = True
    finally:
        _tell(read, outcomes, problems, is_whole=is_whole, json=json)
    return IN_PART if problems or read.problems else DONE


def _tell(
    read: _Read,
    outcomes: dict[Outcome, int],
    problems: list[Problem],
    *,
    is_whole: bool,
    json: bool,
) -> None:
    applied = outcomes[Outcome.CREATED] + outcomes[Outcome.UPDATED]
    if json and is_whole:
        as_json(_json(read) | {"applied": applied, "not_applied": problems})
        return
    show_problems(problems, len(problems), None)
    line = (
        f"{applied:,} of {len(read.plan.todo):,} applied: {outcomes[Outcome.CREATED]:,} created, "
        f"{outcomes[Outcome.UPDATED]:,} changed"
    )
    if is_whole:
        say(line)
    else:
        complain(f"{line}; run it again to go on")


# what people see


def _show(read: _Read, *, with_missing: bool) -> None:
    plan = read.plan
    left = MOST_SHOWN
    for one in plan.todo[:left]:
        for line in _lines(one):
            say(line)
    if len(plan.todo) > left:
        say(f"… and {len(plan.todo) - left:,} more campaigns (--json has all)")
    for line in read.accounts:
        say(f"  {line.replace('dealt to', 'would be dealt to')}")
    if with_missing:
        for name in plan.missing:
            say(f"? {name}  live, and in none of these files")
    show_problems(read.problems, len(read.problems), None)
    refused = len(plan.problems) + read.reading.refused
    say(
        f"plan: {len(plan.creates):,} to create, {len(plan.updates):,} to change, "
        f"{plan.unchanged:,} unchanged, {refused:,} refused; "
        f"{len(plan.missing):,} live in none of these files"
    )


def _lines(one: Planned) -> list[str]:
    if one.outcome is Outcome.CREATED:
        shown = [change for change in one.changes if change.field != "id"][:_MOST_FIELDS]
        fields = [f"    {change.field}  {change.after}" for change in shown]
        more = len(one.changes) - 1 - len(shown)
        rest = [f"    … and {more} more fields"] if more > 0 else []
        return [f"+ {one.campaign}  ({one.state.value})", *fields, *rest]
    width = max(len(change.field) for change in one.changes)
    fields = [
        f"    {change.field:<{width}}  {_or_none(change.before)} → {_or_none(change.after)}"
        for change in one.changes
    ]
    return [f"~ {one.campaign}", *fields]


def _or_none(text: str | None) -> str:
    return "none" if text is None else text


def _json(read: _Read) -> dict[str, object]:
    plan = read.plan
    return {
        "create": [_planned_json(one) for one in plan.creates],
        "change": [_planned_json(one) for one in plan.updates],
        "unchanged": plan.unchanged,
        "refused": len(plan.problems) + read.reading.refused,
        "problems": read.problems,
        "warnings": read.reading.warnings,
        "missing": plan.missing,
        "accounts": read.accounts,
    }


def _planned_json(one: Planned) -> dict[str, object]:
    return {
        "campaign": one.campaign,
        "state": one.state.value,
        "revision": one.revision,
        "fields": one.changes,
    }
