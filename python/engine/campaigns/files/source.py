"""The bytes of a file as UTF-8 text, or the one problem that stands in the way."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from engine.campaigns.files.rows import Problem

__all__ = ["UnreadableError", "check", "lines_of", "not_utf8", "text_of"]


class UnreadableError(Exception):
    """A whole file cannot be read. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def text_of(path: Path) -> str:
    """Return a whole file. Raises UnreadableError."""
    data = _bytes_of(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(not_utf8(str(path), line, data[error.start])) from None


def lines_of(path: Path) -> Iterator[tuple[int, str | Problem]]:
    r"""Iterate the lines of a file, numbered from 1, ends included; a bad one is a problem.

    Only "\n" ends a line here, as in every editor's count: str.splitlines knows ten others.
    Raises UnreadableError.
    """
    check(path)
    number = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            data = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
            try:
                yield number, data.decode()
            except UnicodeDecodeError as error:
                yield number, not_utf8(str(path), number, data[error.start])
    if number == 0:
        raise UnreadableError(_empty(str(path)))


def not_utf8(file: str, line: int, byte: int) -> Problem:
    return Problem(file, line, "", "text in UTF-8", f"the byte 0x{byte:02x}")


def _bytes_of(path: Path) -> bytes:
    check(path)
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise _unopened(path, error) from None
    if not data.strip():
        raise UnreadableError(_empty(str(path)))
    return data


def check(path: Path) -> None:
    """Refuse what is no text file before anything tries to make sense of it."""
    try:
        if path.is_dir():
            raise UnreadableError(Problem(str(path), None, "", "a file", "a directory"))
        with path.open("rb") as file:
            start = file.read(8192)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unopened(path, error) from None
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnreadableError(Problem(str(path), None, "", "text in UTF-8", "UTF-16"))
    if b"\0" in start:
        raise UnreadableError(Problem(str(path), None, "", "a text file", "a binary file"))


def _unopened(path: Path, error: Exception) -> UnreadableError:
    found = (isinstance(error, OSError) and error.strerror) or str(error)
    if isinstance(error, FileNotFoundError):
        found = "no such file"
    elif isinstance(error, PermissionError):
        found = "no permission to read it"
    return UnreadableError(Problem(str(path), None, "", "a file that can be read", found))


def _empty(file: str) -> Problem:
    return Problem(file, None, "", "at least one row", "an empty file")
