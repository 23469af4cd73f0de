"""A row of a file as an account: decimals become micros."""

from engine.campaigns.files.definition import Written
from engine.campaigns.files.fields import Fields
from engine.campaigns.files.rows import Columns, Path, Problem, Row, shown
from engine.domain.accounts import Account
from engine.domain.money import from_micros
from engine.domain.validation import problems_of_account

__all__ = ["ACCOUNT_COLUMNS", "ACCOUNT_FIELDS", "account_of"]

ACCOUNT_FIELDS = ("id", "currency", "timezone", "daily_cap", "total_cap")
ACCOUNT_COLUMNS = Columns(names=ACCOUNT_FIELDS, required=("id",))


def account_of(row: Row) -> Account | list[Problem]:
    """Return the account a row stands for, or everything that is wrong with it."""
    refused: dict[Path, Problem] = {}

    def report(path: Path, wanted: str, found: object) -> None:
        if path not in refused:
            line = row.locate(path)
            text = str(found) if isinstance(found, Written) else shown(found)
            refused[path] = Problem(row.file, line, ".".join(path), wanted, text, name)

    given = row.fields.get("id")
    name = f"account {given[:64]}" if isinstance(given, str) else "an account"
    fields = Fields(row.fields, report=report, is_text=row.is_text)
    fields.know(*ACCOUNT_FIELDS)
    fields.require("id", by="account")
    account = Account(
        id=fields.text("id"),
        currency=fields.text("currency", "USD"),
        timezone=fields.text("timezone", "UTC"),
        daily_cap_micros=fields.amount("daily_cap"),
        total_cap_micros=fields.amount("total_cap"),
    )
    for error in problems_of_account(account):
        path = (error.field.removesuffix("_micros"),)
        wrong = error.found
        if error.field.endswith("_micros") and isinstance(wrong, int):
            wrong = Written(from_micros(wrong))
        report(path, error.wanted, wrong)
    return list(refused.values()) or account
