"""Rows from CSV: a header of column names, commas, an empty cell for "not given"."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path as FilePath

from engine.campaigns.files.fields import did_you_mean
from engine.campaigns.files.rows import Columns, Problem, Row, shown
from engine.campaigns.files.source import UnreadableError, lines_of

__all__ = ["csv_rows"]


def csv_rows(path: FilePath, columns: Columns) -> Iterator[Row | Problem]:
    """Iterate the rows of a file; a header that is wrong is wrong for every row of it.

    Raises UnreadableError.
    """
    yield from _Table(path, columns).rows()


class _Table:
    """A walk over one file, line by line; a row may stretch over several in quotes."""

    def __init__(self, path: FilePath, columns: Columns) -> None:
        self._file = str(path)
        self._columns = columns
        self._source = lines_of(path)
        self._again: deque[str | Problem] = deque()  # lines given back, to be read anew
        self._held: list[str | Problem] = []  # lines of the row in hand
        self._line = 1  # where that row begins
        self._reader = csv.reader(self._lines(), strict=True)

    def rows(self) -> Iterator[Row | Problem]:
        header = self._header()
        while True:
            self._line += len(self._held)
            self._held.clear()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._malformed(error)
                self._give_back()
                continue
            bad = next((line for line in self._held if isinstance(line, Problem)), None)
            if bad is not None:
                yield bad
            elif any(cells):
                yield self._row(header, cells)

    def _lines(self) -> Iterator[str]:
        """Feed the reader; a line that is no text keeps its place, so that later lines do."""
        while True:
            line = self._again.popleft() if self._again else next(self._source, (0, None))[1]
            if line is None:
                return
            self._held.append(line)
            yield "?\n" if isinstance(line, Problem) else line

    def _give_back(self) -> None:
        """Read the lines behind the first of a failed row again.

        A quote that nobody closed swallows the rows behind it: they are not to blame.
        """
        self._again.extendleft(reversed(self._held[1:]))
        del self._held[1:]
        self._reader = csv.reader(self._lines(), strict=True)

    def _row(self, header: list[str], cells: list[str]) -> Row | Problem:
        line = self._line
        if len(cells) != len(header):
            self._give_back()
            wanted, found = f"{len(header)} cells, as in the header", f"{len(cells)}"
            return Problem(self._file, line, "", wanted, found, _campaign(header, cells))
        fields: dict[str, object] = {
            name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()
        }
        return Row(self._file, line, fields, lambda _: line, is_text=True)

    def _header(self) -> list[str]:
        try:
            header = [name.strip() for name in next(self._reader)]
        except StopIteration:
            header = []
        except csv.Error as error:
            raise UnreadableError(self._malformed(error)) from None
        if isinstance(self._held[0], Problem):
            raise UnreadableError(self._held[0])
        problem = self._header_problem(header)
        if problem is not None:
            raise UnreadableError(problem)
        return header

    def _header_problem(self, header: list[str]) -> Problem | None:
        columns = self._columns
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            return self._at_header("", "columns separated by commas", shown(header[0]))
        for position, name in enumerate(header):
            if name in header[:position]:
                return self._at_header(name, "each column once", "it twice")
            if name not in columns.names and not columns.is_open(name):
                wanted = f"a known column{did_you_mean(name, columns.names)}"
                return self._at_header("", wanted, shown(name))
        for name in columns.required:
            if name not in header:
                return self._at_header(name, "this column in the header", "no such column")
        return None

    def _at_header(self, field: str, wanted: str, found: str) -> Problem:
        return Problem(self._file, 1, field, wanted, found)

    def _malformed(self, error: csv.Error) -> Problem:
        """Return the csv module's complaint in the words of a problem."""
        words, line = str(error), self._line
        if "unexpected end of data" in words:
            return Problem(self._file, line, "", "a closing quote", "the end of the file")
        if "expected after" in words:
            wanted = "a comma behind a closing quote (a quote within quotes is written twice)"
            return Problem(self._file, line, "", wanted, "other text")
        if "field larger" in words:
            return Problem(self._file, line, "", "cells of up to 131072 characters", "a larger one")
        return Problem(self._file, line, "", "CSV", words)


def _campaign(header: list[str], cells: list[str]) -> str:
    """Return the id in a row whose cells may have shifted: only where it comes first."""
    return cells[0][:64] if header[0] in ("id", "campaign") and cells else ""
