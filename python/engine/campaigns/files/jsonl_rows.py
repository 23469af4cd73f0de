"""Rows from JSON Lines: one object a line, read as they come, so that a file may be any size."""

import json
from collections.abc import Iterator
from pathlib import Path as FilePath

from engine.campaigns.files.json_rows import Decoder, json_problem
from engine.campaigns.files.rows import Problem, Row, shown
from engine.campaigns.files.source import lines_of

__all__ = ["jsonl_rows"]


def jsonl_rows(path: FilePath) -> Iterator[Row | Problem]:
    """Iterate the rows of a file. Raises UnreadableError."""
    decoder, file = Decoder(), str(path)
    for number, line in lines_of(path):
        if isinstance(line, Problem):
            yield line
        elif line.strip():
            yield _row(decoder, file, number, line)


def _row(decoder: Decoder, file: str, number: int, line: str) -> Row | Problem:
    text = line.strip()
    try:
        value, end, repeated = decoder.value(text)
        if end < len(text):
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as error:
        problem = json_problem(file, number, error)
        return Problem(file, number, "", problem.wanted, problem.found.replace("file", "line"))
    except RecursionError:
        return Problem(file, number, "", "JSON of a sane depth", "it nested too deep")
    if not isinstance(value, dict):
        return Problem(file, number, "", "an object on each line", shown(value))
    if repeated is not None:
        campaign = value.get("id", "")
        name = campaign if isinstance(campaign, str) else ""
        return Problem(file, number, repeated, "each name once", "it twice", name)
    return Row(file, number, value, lambda _: number)
