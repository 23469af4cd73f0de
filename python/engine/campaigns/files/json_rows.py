"""Rows from a JSON document: a list, {"campaigns": [...]} or one object.

Elements are decoded one by one, so that each has its line, and one that is malformed does not
take the others with it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from engine.campaigns.files.rows import BESIDE, Path, Problem, Row, shown

__all__ = ["Decoder", "json_problem", "json_rows"]

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}\[\]:,]')
_LONGEST_INTEGER = 30  # digits; Python refuses to read more than 4,300 at all


def json_rows(file: str, text: str, *, top: str) -> Iterator[Row | Problem]:
    """Iterate the rows of a document whose list, where it is named, is named `top`."""
    yield from _Document(file, text, top).rows()


class Decoder:
    """JSON as the file says it: numbers exact, a key given twice noticed."""

    def __init__(self) -> None:
        self._repeated: list[str] = []
        self._json = json.JSONDecoder(
            parse_float=Decimal, parse_int=_integer, object_pairs_hook=self._pairs
        )

    def value(self, text: str, start: int = 0) -> tuple[object, int, str | None]:
        """Return the value at `start`, where it ends, and a key that it gives twice, if any.

        Raises json.JSONDecodeError; RecursionError where it is nested absurdly deep.
        """
        self._repeated.clear()
        value, end = self._json.raw_decode(text, start)
        return value, end, self._repeated[0] if self._repeated else None

    def _pairs(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            count = Counter(key for key, _ in pairs)
            self._repeated += [key for key, times in count.items() if times > 1]
        return fields


class _Document:
    """A walk over one document, counting lines as it goes."""

    def __init__(self, file: str, text: str, top: str) -> None:
        self._file = file
        self._text = text
        self._top = top
        self._decoder = Decoder()
        self._at = 0  # offset of what is to be read next
        self._counted = (0, 1)  # an offset, and its line

    def rows(self) -> Iterator[Row | Problem]:
        match self._peek():
            case "[":
                yield from self._elements()
            case "{":
                yield from self._object()
            case other:
                yield self._problem(self._at, f"a list or {{{self._top}: [...]}}", shown(other))
                return
        if self._peek():
            wanted = "one JSON document (one object a line is JSON Lines: name the file .jsonl)"
            yield self._problem(self._at, wanted, "more text")

    def _object(self) -> Iterator[Row | Problem]:
        """Walk {"campaigns": [...]}; an object without that key is one row by itself."""
        start = self._at
        try:
            value, end, repeated = self._decoder.value(self._text, start)
        except (json.JSONDecodeError, RecursionError):
            value, end, repeated = None, 0, None  # its elements may be good all the same
        if isinstance(value, dict) and self._top not in value:
            self._at = end
            yield self._row(start, value, repeated)
            return
        offset = _key_offset(self._text, start, (self._top,))
        if offset is None:
            self._at = len(self._text)
            yield self._broken(start)
            return
        colon = self._text.find(":", offset + len(self._top) + 2)
        if colon < 0:  # the file ends within the name, or right behind it
            self._at = len(self._text)
            yield self._broken(start)
            return
        yield from self._strangers(value, start)
        self._at = colon + 1
        if self._peek() != "[":
            yield self._problem(self._at, f"a list of {self._top}", shown(self._peek()))
            self._at = len(self._text)
            return
        yield from self._elements()
        self._at = end or len(self._text)

    def _strangers(self, value: object, start: int) -> Iterator[Problem]:
        for key in value if isinstance(value, dict) else ():
            if key not in (self._top, *BESIDE, "$schema") and not key.startswith("x-"):
                offset = _key_offset(self._text, start, (key,)) or start
                yield self._problem(offset, f"{self._top} alone at the top", repr(key))

    def _elements(self) -> Iterator[Row | Problem]:
        """Walk the list that opens here, and stand behind it in the end."""
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            yield self._problem(self._at, f"at least one of {self._top}", "an empty list")
            return
        while True:
            self._peek()
            start = self._at
            try:
                value, self._at, repeated = self._decoder.value(self._text, start)
            except (json.JSONDecodeError, RecursionError):
                yield self._broken(start)
                if not self._resume(start):
                    self._at = len(self._text)
                    return
            else:
                yield self._row(start, value, repeated)
            follows = self._peek()
            if follows == "," or not follows:
                self._at += 1
            if follows == "]":
                self._at += 1
                return
            if follows == ",":
                continue
            wanted = "a comma, or ] at the end of the list"
            yield self._problem(self._at, wanted, shown(follows) if follows else _THE_END)
            if follows != "{":
                self._at = len(self._text)
                return

    def _row(self, start: int, value: object, repeated: str | None) -> Row | Problem:
        line = self._line(start)
        if not isinstance(value, dict):
            return Problem(self._file, line, "", "an object", shown(value))
        text = self._text

        def locate(path: Path) -> int:
            offset = _key_offset(text, start, path)
            return line if offset is None else line + text.count("\n", start, offset)

        if repeated is not None:
            campaign = value.get("id")
            name = campaign if isinstance(campaign, str) else ""
            return Problem(self._file, line, repeated, "each name once", "it twice", name)
        return Row(self._file, line, value, locate)

    def _broken(self, start: int) -> Problem:
        try:
            self._decoder.value(self._text, start)
        except json.JSONDecodeError as error:
            return json_problem(self._file, self._line(error.pos), error)
        except RecursionError:
            pass
        return self._problem(start, "JSON of a sane depth", "it nested too deep")

    def _resume(self, start: int) -> bool:
        """Stand at what follows the malformed element at `start`; say whether there is anything.

        The next line that begins as this element's did begins the next element; in a document
        without lines the brackets have to tell.
        """
        begins = self._text.rfind("\n", 0, start) + 1
        indent = self._text[begins:start]
        if indent.strip(" \t") == "":
            following = self._text.find(f"\n{indent}{{", start)
            if following < 0:
                return False
            comma = self._text.rfind(",", start, following)
            self._at = comma if comma > start else following
            return True
        depth = 0
        for token in _TOKEN.finditer(self._text, start):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if depth <= 0:
                self._at = token.end()
                return True
        return False

    def _peek(self) -> str:
        """Skip space; return the character that follows, "" at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _line(self, offset: int) -> int:
        """Return the line of an offset: counted on from the last one, as rows come in order."""
        counted, line = self._counted
        if offset < counted:
            counted, line = 0, 1
        line += self._text.count("\n", counted, offset)
        self._counted = (offset, line)
        return line

    def _problem(self, offset: int, wanted: str, found: str) -> Problem:
        found = _THE_END if offset >= len(self._text) and found == "''" else found
        return Problem(self._file, self._line(offset), "", wanted, found)


_THE_END = "the end of the file"

_WANTED = {  # the standard library's words, said as what was wanted
    "Expecting value": "a value",
    "Expecting property name enclosed in double quotes": "a name in double quotes",
    "Expecting ':' delimiter": "a colon",
    "Expecting ',' delimiter": "a comma, or the end of the object or list",
    "Unterminated string starting at": "a closing quote for the text",
    "Invalid control character at": "text without line breaks, tabs or control characters",
    "Extra data": "nothing behind the object",
    "Illegal trailing comma before end of object": "no comma before the end of the object",
    "Illegal trailing comma before end of array": "no comma before the end of the list",
}


def json_problem(file: str, line: int, error: json.JSONDecodeError) -> Problem:
    """Return a syntax error in the words of a problem."""
    wanted = _WANTED.get(error.msg, f"JSON ({error.msg.lower()})")
    rest = error.doc[error.pos : error.pos + 20].split("\n")[0].strip()
    if not error.doc[error.pos :].strip():
        return Problem(file, line, "", wanted, _THE_END)
    return Problem(file, line, "", wanted, shown(rest) if rest else "the end of the line")


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else Decimal(digits)


def _key_offset(text: str, start: int, path: Path) -> int | None:
    """Return the offset of the key at `path` in the object that begins at `start`."""
    keys: list[str | None] = []  # of every open container: the key in hand; None in a list
    wants_key = False
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case "{":
                keys.append("")
                wants_key = True
            case "[":
                keys.append(None)
                wants_key = False
            case "}" | "]":
                keys.pop()
                if not keys:
                    return None
                wants_key = False
            case ",":
                wants_key = keys[-1] is not None
            case ":":
                wants_key = False
            case string if wants_key:
                keys[-1] = _unquoted(string)
                if tuple(keys) == path:
                    return token.start()
    return None


def _unquoted(string: str) -> str:
    try:
        return str(json.loads(string))
    except json.JSONDecodeError:
        return string
