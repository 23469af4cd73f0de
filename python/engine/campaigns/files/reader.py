"""Files of campaigns, in any format, as definitions and problems."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from engine.campaigns.files.accounts import ACCOUNT_COLUMNS, account_of
from engine.campaigns.files.csv_rows import csv_rows
from engine.campaigns.files.definition import COLUMNS, conflict_path, definition_of
from engine.campaigns.files.json_rows import json_rows
from engine.campaigns.files.jsonl_rows import jsonl_rows
from engine.campaigns.files.rows import Columns, Problem, Row
from engine.campaigns.files.source import UnreadableError, check, text_of
from engine.campaigns.files.times import Relative
from engine.domain.accounts import Account
from engine.domain.campaign import Definition
from engine.domain.feasibility import conflicts_of

__all__ = [
    "FORMATS",
    "Found",
    "FoundAccount",
    "Reading",
    "read_accounts",
    "read_definitions",
    "read_rows",
]

FORMATS = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv")


class Found(msgspec.Struct, frozen=True):
    """A definition and where it was found."""

    definition: Definition
    file: str
    line: int
    relative: Relative | None = None  # where its flight was written to start so long from now


class FoundAccount(msgspec.Struct, frozen=True):
    """An account and where it was found."""

    account: Account
    file: str
    line: int


class Reading(msgspec.Struct, frozen=True):
    """What some files held: good definitions, and what is wrong with the rest."""

    found: list[Found]
    problems: list[Problem]
    refused: int  # rows that were refused; one may have several problems
    warnings: list[Problem] = []  # of good ones: what a good market might yet resolve
    accounts: list[FoundAccount] = []

    @property
    def rows(self) -> int:
        return len(self.found) + self.refused


def read_definitions(
    paths: Iterable[Path],
    *,
    now: float,
    progress: Callable[[int], None] = lambda rows: None,
) -> Reading:
    """Read the campaigns of some files; `now` is what "now" and "+2h" count from.

    An id that is given twice is refused at both places: neither is more likely to be meant.
    """
    places: dict[str, Found] = {}
    repeated: set[str] = set()
    problems: list[Problem] = []
    warnings: list[Problem] = []
    accounts: list[FoundAccount] = []
    rows = refused = 0
    for path in paths:
        if _has_accounts(path):
            found, wrong = read_accounts([path])
            accounts += found
            problems += wrong
            refused += len({(one.file, one.line) for one in wrong})
        for row in read_rows(path, top="campaigns", columns=COLUMNS):
            rows += 1
            progress(rows)
            if isinstance(row, Problem):
                problems.append(row)
                refused += row.line is not None
                continue
            defined = definition_of(row, now=now)
            if isinstance(defined, list):
                problems += defined
                refused += 1
                continue
            definition = defined.definition
            if (first := places.get(definition.id)) is not None:
                problems.append(_twice(row, first))
                repeated.add(definition.id)
                refused += 1
            else:
                places[definition.id] = Found(definition, row.file, row.line, defined.relative)
                warnings += _warnings(row, definition)
    for campaign in repeated:
        del places[campaign]
    return Reading(list(places.values()), problems, refused + len(repeated), warnings, accounts)


def read_accounts(paths: Iterable[Path]) -> tuple[list[FoundAccount], list[Problem]]:
    """Read the accounts of some files: those that have nothing else, or those beside campaigns."""
    found: dict[str, FoundAccount] = {}
    problems: list[Problem] = []
    for path in paths:
        for row in read_rows(path, top="accounts", columns=ACCOUNT_COLUMNS):
            if isinstance(row, Problem):
                problems.append(row)
                continue
            account = account_of(row)
            if not isinstance(account, Account):
                problems += account
            elif account.id in found:
                first = found[account.id]
                repeated = f"it here and at {first.file}:{first.line}"
                line = row.locate(("id",))
                problems.append(Problem(row.file, line, "id", "each account once", repeated))
            else:
                found[account.id] = FoundAccount(account, row.file, row.line)
    return list(found.values()), problems


def _warnings(row: Row, definition: Definition) -> list[Problem]:
    return [
        Problem(
            file=row.file,
            line=row.locate(path),
            field=".".join(path),
            wanted=conflict.wanted,
            found=conflict.found,
            campaign=definition.id,
        )
        for conflict in conflicts_of(definition)
        for path in (conflict_path(conflict),)
    ]


def _has_accounts(path: Path) -> bool:
    """Return whether a file of campaigns has a list of accounts beside them."""
    pattern = _ACCOUNTS.get(path.suffix.lower())
    try:
        return pattern is not None and pattern.search(text_of(path)) is not None
    except UnreadableError:
        return False  # said when its campaigns are read


_ACCOUNTS = {
    ".yaml": re.compile(r"^accounts[ ]*:", re.MULTILINE),
    ".yml": re.compile(r"^accounts[ ]*:", re.MULTILINE),
    ".json": re.compile(r'^\s*\{(?:\s*"\$schema"\s*:\s*"[^"]*"\s*,)?\s*"accounts"\s*:'),
}


def read_rows(path: Path, *, top: str, columns: Columns) -> Iterator[Row | Problem]:
    """Iterate the rows of a file, by the format its name ends in; what it holds never raises."""
    is_empty = True
    try:
        for row in _rows(path, top, columns):
            is_empty = False
            yield row
    except UnreadableError as unreadable:
        yield unreadable.problem
    else:
        if is_empty:
            yield Problem(str(path), None, "", "at least one row", "none")


def _rows(path: Path, top: str, columns: Columns) -> Iterator[Row | Problem]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            # PyYAML takes a while to import, which the other formats need not wait for.
            from engine.campaigns.files.yaml_rows import yaml_rows

            yield from yaml_rows(str(path), text_of(path), top=top)
        case ".json":
            yield from json_rows(str(path), text_of(path), top=top)
        case ".jsonl" | ".ndjson":
            yield from jsonl_rows(path)
        case ".csv":
            yield from csv_rows(path, columns)
        case suffix:
            check(path)
            wanted = f"a name that ends in {', '.join(FORMATS)}"
            yield Problem(str(path), None, "", wanted, suffix or "no ending")


def _twice(row: Row, first: Found) -> Problem:
    found = f"it here and at {first.file}:{first.line} (neither is published)"
    campaign = first.definition.id
    return Problem(row.file, row.locate(("id",)), "id", "each id once", found, campaign)
