"""Files of campaigns, in any format, as definitions and problems."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from engine.campaigns.files.csv_rows import csv_rows
from engine.campaigns.files.definition import COLUMNS, definition_of
from engine.campaigns.files.json_rows import json_rows
from engine.campaigns.files.jsonl_rows import jsonl_rows
from engine.campaigns.files.rows import Columns, Problem, Row
from engine.campaigns.files.source import UnreadableError, check, text_of
from engine.domain.campaign import Definition

__all__ = ["FORMATS", "Found", "Reading", "read_definitions", "read_rows"]

FORMATS = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv")


class Found(msgspec.Struct, frozen=True):
    """A definition and where it was found."""

    definition: Definition
    file: str
    line: int


class Reading(msgspec.Struct, frozen=True):
    """What some files held: good definitions, and what is wrong with the rest."""

    found: list[Found]
    problems: list[Problem]
    refused: int  # rows that were refused; one may have several problems

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
    rows = refused = 0
    for path in paths:
        for row in read_rows(path, top="campaigns", columns=COLUMNS):
            rows += 1
            progress(rows)
            if isinstance(row, Problem):
                problems.append(row)
                refused += row.line is not None
                continue
            definition = definition_of(row, now=now)
            if not isinstance(definition, Definition):
                problems += definition
                refused += 1
            elif (first := places.get(definition.id)) is not None:
                problems.append(_twice(row, first))
                repeated.add(definition.id)
                refused += 1
            else:
                places[definition.id] = Found(definition, row.file, row.line)
    for campaign in repeated:
        del places[campaign]
    return Reading(list(places.values()), problems, refused + len(repeated))


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
