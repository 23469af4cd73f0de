"""`engine changes`: what was changed on ad platforms, from what to what, and why."""

from typing import Annotated

from cyclopts import Parameter

from engine.cli.arguments import Whole
from engine.cli.output import as_json, complain, say, utc
from engine.cli.session import AsJson, Nats, Session, run
from engine.domain.ids import is_ad_account, is_campaign_id, is_platform
from engine.domain.money import from_micros
from engine.errors import MalformedMessageError
from engine.messaging.changes import Done, Intend, Settled, Verdict, decode_journal
from engine.messaging.ports import Journal
from engine.messaging.subjects import changes_subject
from engine.reports.changelog import Entry

__all__ = ["command", "entries_of", "shown"]

DONE, NOT_UNDERSTOOD = 0, 2


def command(
    *,
    campaign: str | None = None,
    platform: str | None = None,
    ad_account: str | None = None,
    result: Annotated[str | None, Parameter(name="--result")] = None,
    limit: Annotated[Whole, Parameter(name=["--limit", "-n"])] = 50,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Print the newest changes that gateways made on ad platforms, oldest first.

    Parameters
    ----------
    campaign
        Only changes for this campaign.
    platform
        Only changes on this platform.
    ad_account
        Only changes in this ad account.
    result
        Only changes of which became this: applied, rejected, failed or open.
    limit
        How many.
    json
        Print JSON, one change a line; money in micros.
    """
    if campaign is not None and not is_campaign_id(campaign):
        complain(f"engine changes: an id of 1 to 64 of A-Z a-z 0-9 _ -, found {campaign!r}")
        return NOT_UNDERSTOOD
    if platform is not None and not is_platform(platform):
        complain(f"engine changes: --platform such as google, found {platform!r}")
        return NOT_UNDERSTOOD
    if ad_account is not None and not is_ad_account(ad_account):
        wanted = "--ad-account of 1 to 64 of A-Z a-z 0-9 _ -"
        complain(f"engine changes: {wanted}, found {ad_account!r}")
        return NOT_UNDERSTOOD
    if limit < 1:
        complain(f"engine changes: --limit of 1 or more, found {limit}")
        return NOT_UNDERSTOOD
    if result not in (None, "applied", "rejected", "failed", "open"):
        complain(f"engine changes: --result of applied, rejected, failed or open, found {result!r}")
        return NOT_UNDERSTOOD

    async def work(session: Session) -> int:
        found = await entries_of(
            session.broker.journal, platform=platform or "*", ad_account=ad_account or "*"
        )
        wanted = [
            one
            for one in found
            if (campaign is None or one.campaign == campaign)
            and (result is None or one.result == result)
        ]
        for one in wanted[-limit:]:
            if json:
                as_json(one)
            else:
                say(_line(one))
        if not wanted and not json:
            complain("no changes yet")
        return DONE

    return run(work, nats=nats)


async def entries_of(
    journal: Journal, *, platform: str = "*", ad_account: str = "*"
) -> list[Entry]:
    """Return all changes that are kept, by the time at which they were intended."""
    subject = changes_subject(platform, ad_account)
    intends: dict[int, Intend] = {}
    settled: dict[tuple[int, str], Settled] = {}
    verdicts: dict[str, str] = {}
    async for message in journal.read(subject):
        try:
            record = decode_journal(subject, message.payload)
        except MalformedMessageError as error:
            complain(str(error))
            continue
        if isinstance(record, Intend):
            intends[message.sequence] = record
        elif isinstance(record, Done):
            settled |= {(record.intend, one.id): one for one in record.results}
        elif isinstance(record, Verdict):
            verdicts[record.change] = record.verdict
    entries = []
    for sequence, intend in intends.items():
        for change in intend.changes:
            outcome = settled.get((sequence, change.id))
            entries.append(
                Entry(
                    id=change.id,
                    at=intend.at_ms / 1000,
                    platform=intend.platform,
                    ad_account=intend.ad_account,
                    campaign=change.campaign,
                    entity=change.entity,
                    lever=change.lever,
                    before=change.before,
                    value=change.value,
                    why=change.why,
                    partition=change.partition,
                    sequence=change.sequence,
                    worth_micros_per_h=change.worth_micros_per_h,
                    owner=intend.owner,
                    is_dry_run=intend.is_dry_run,
                    result="open" if outcome is None else outcome.result,
                    reason="" if outcome is None else outcome.reason,
                    verdict=verdicts.get(change.id, ""),
                )
            )
    return sorted(entries, key=lambda one: one.at)


def shown(lever: str, value: float | None) -> str:
    """Return a lever's value as people write it."""
    if value is None:
        return "?"
    if lever == "serving":
        return "on" if value else "off"
    return f"{value:g}" if lever == "target-roas" else from_micros(int(value))


def _line(one: Entry) -> str:
    move = f"{one.lever} {shown(one.lever, one.before)} → {shown(one.lever, one.value)}"
    decision = f" (decision {one.partition}/{one.sequence})" if one.sequence else ""
    outcome = ("dry run, " if one.is_dry_run else "") + one.result
    reason = f": {one.reason}" if one.reason else ""
    verdict = f", {one.verdict}" if one.verdict else ""
    return (
        f"{utc(one.at)}  {one.platform}/{one.ad_account}  {one.campaign}  {one.entity}  {move}  "
        f"{one.why}{decision}  {outcome}{reason}{verdict}  [{one.id}]"
    )
