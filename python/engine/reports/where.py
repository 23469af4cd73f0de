"""A small language for choosing campaigns, `platform = meta and roi < 0`: read, never run as code.

    expression  = all { "or" all }
    all         = one { "and" one }
    one         = "not" one | "(" expression ")" | comparison
    comparison  = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" ) value
                | field [ "not" ] "in" "(" value { "," value } ")"
    value       = a number (12.50, 1_000, 1.5k, 2M, 5%, 90s, 2h, 3d, 12.50 EUR), a word, "text",
                  none, or another field of the same kind

What is not known is neither equal nor unequal to anything: a comparison with it is undecided, and
so is what depends on that alone (Kleene's logic). Nobody is chosen by what nobody knows; `= none`
and `!= none` ask for just that.
"""

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Generic, NamedTuple, NoReturn, TypeVar

from engine.domain.money import MICROS
from engine.errors import ConfigError
from engine.reports.kleene import (
    Judge,
    Value,
    all_of,
    any_of,
    compared,
    compared_with,
    in_currency,
    is_none,
    not_so,
    of_texts,
)

__all__ = ["Field", "Kind", "Where", "WhereError", "parse_where"]

_RowT = TypeVar("_RowT")


class Kind(Enum):
    """What a field holds, and so which values it may be compared with."""

    TEXT = "a text"
    TEXTS = "texts"  # = asks whether it is one of them
    MONEY = "an amount"  # in micros of the row's currency
    NUMBER = "a number"
    RATIO = "a fraction"  # 0.05, or 5%
    SECONDS = "a time"


class Field(NamedTuple, Generic[_RowT]):
    """A field: what it holds, how to get it from a row, and what it says."""

    kind: Kind
    get: Callable[[_RowT], Value]
    text: str
    known: tuple[str, ...] = ()  # all texts there are, where they are few


class WhereError(ConfigError):
    """An expression that cannot be understood; the message points at the place."""

    def __init__(self, text: str, at: int, wanted: str) -> None:
        super().__init__(f"--where: {wanted}\n  {text}\n  {' ' * at}^")
        self.at = at
        self.wanted = wanted


class Where(Generic[_RowT]):
    """An expression, ready to be asked of rows."""

    def __init__(
        self, text: str, judge: Judge[_RowT], fields: set[str], said: "list[_Said[_RowT]]"
    ) -> None:
        self.text = text
        self.fields = frozenset(fields)  # that it names
        self._judge = judge
        self._said = said

    def judge(self, row: _RowT) -> bool | None:
        """Return whether the row fits; None where that is not known."""
        return self._judge(row)

    def check(self, fields: Collection[Field[_RowT]], known: Collection[str]) -> None:
        """Raise WhereError where one of these fields is compared with a slip of the pen.

        That is a text which is not known, and near one that is: `known` is what is in use now, and
        whoever asks for another that is not in use may mean it.
        """
        for field, text, at in self._said:
            if field in fields and text not in known and (hint := _hint(text, known)):
                raise WhereError(self.text, at, f"one of {', '.join(known)}{hint}, found {text!r}")


def parse_where(
    text: str,
    fields: Mapping[str, Field[_RowT]],
    *,
    open_field: Callable[[str], Field[_RowT] | None] = lambda name: None,
    currency_of: Callable[[_RowT], str] = lambda row: "",
) -> Where[_RowT]:
    """Return the expression that a text is.

    `open_field` gives fields that have no fixed name (label.team); `currency_of` what the amounts
    of a row are in. Raises WhereError.
    """
    return _Parser(text, fields, open_field, currency_of).parse()


class _Token(NamedTuple):
    kind: str  # word, text, number, sign, end
    text: str
    at: int


class _Said(NamedTuple, Generic[_RowT]):
    """A text that a field is to be, or not to be, and where that is said."""

    field: Field[_RowT]
    text: str
    at: int


_TOKENS = re.compile(
    r"""\s*(?:
      (?P<text>"[^"]*"|'[^']*')
    | (?P<number>[+-]?(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:%|[a-zA-Z]{1,3})?(?![\w.*?/-]))
    | (?P<word>[^\W\d][\w.*?/+-]*|[*?][\w.*?/+-]*|\d[\w.*?/+-]*)
    | (?P<sign>!=|!~|<=|>=|==|<>|[=<>~(),])
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([+-]?[\d_.]+)(%|[a-zA-Z]*)")
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6}
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ALSO = {"==": "=", "<>": "!="}
_RESERVED = frozenset({"and", "or", "not", "in"})
_COUNTED = frozenset({Kind.MONEY, Kind.NUMBER, Kind.RATIO, Kind.SECONDS})


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            if not rest:
                break
            at = len(text) - len(rest)
            wanted = "the end of the quotes" if rest[0] in "\"'" else "a field, a value or a sign"
            raise WhereError(text, at, f"{wanted}, found {rest[0]!r}")
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return [*found, _Token("end", "", len(text))]


class _Parser(Generic[_RowT]):
    """Reads tokens from left to right, one function for each rule above."""

    def __init__(
        self,
        text: str,
        fields: Mapping[str, Field[_RowT]],
        open_field: Callable[[str], Field[_RowT] | None],
        currency_of: Callable[[_RowT], str],
    ) -> None:
        self._text = text
        self._fields = fields
        self._open_field = open_field
        self._currency_of = currency_of
        self._tokens = _tokens(text)
        self._next = 0
        self._named: set[str] = set()
        self._said: list[_Said[_RowT]] = []

    def parse(self) -> Where[_RowT]:
        judge = self._expression()
        if self._peek.kind != "end":
            self._refuse(self._peek, "and, or, or the end")
        return Where(self._text, judge, self._named, self._said)

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _takes(self, *texts: str) -> bool:
        """Take the next token where it is one of these words or signs."""
        token = self._peek
        if token.kind in ("word", "sign") and token.text.lower() in texts:
            self._take()
            return True
        return False

    def _refuse(self, token: _Token, wanted: str) -> NoReturn:
        found = repr(token.text) if token.text else "the end"
        raise WhereError(self._text, token.at, f"{wanted}, found {found}")

    def _expression(self) -> Judge[_RowT]:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else any_of(parts)

    def _all(self) -> Judge[_RowT]:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else all_of(parts)

    def _one(self) -> Judge[_RowT]:
        if self._takes("not"):
            return not_so(self._one())
        if self._takes("("):
            inner = self._expression()
            if not self._takes(")"):
                self._refuse(self._peek, "and, or, or a closing parenthesis")
            return inner
        return self._comparison()

    def _comparison(self) -> Judge[_RowT]:
        token = self._take()
        if token.kind != "word" or token.text.lower() in _RESERVED:
            self._refuse(token, "a field such as platform, state or roi")
        field = self._field(token)
        is_not = self._takes("not")
        if self._takes("in"):
            return self._in(field, is_not=is_not)
        sign = self._take()
        if is_not or sign.kind != "sign" or sign.text in "(),":
            self._refuse(sign, "in" if is_not else "=, !=, <, <=, >, >=, ~ or in")
        return self._compared(field, _ALSO.get(sign.text, sign.text), sign, self._take())

    def _field(self, token: _Token) -> Field[_RowT]:
        field = self._fields.get(token.text) or self._open_field(token.text)
        if field is None:
            known = (
                _hint(token.text, self._fields) or f", one of {', '.join(self._fields)}, label.NAME"
            )
            self._refuse(token, f"a field{known}")
        self._named.add(token.text)
        return field

    def _in(self, field: Field[_RowT], *, is_not: bool) -> Judge[_RowT]:
        if not self._takes("("):
            self._refuse(self._peek, "a list such as (google, meta)")
        parts = []
        while True:
            token = self._peek
            parts.append(self._compared(field, "=", token, self._take()))
            if self._takes(")"):
                break
            if not self._takes(","):
                self._refuse(self._peek, "a comma or a closing parenthesis")
        judge = any_of(parts)
        return not_so(judge) if is_not else judge

    def _compared(self, field: Field[_RowT], sign: str, at: _Token, value: _Token) -> Judge[_RowT]:
        if value.kind in ("end", "sign"):
            self._refuse(value, f"{field.kind.value} to compare with")
        if value.kind == "word" and value.text.lower() == "none":
            if sign not in ("=", "!="):
                self._refuse(at, "= or != before none")
            return is_none(field.get, is_wanted=sign == "=")
        if field.kind in _COUNTED:
            return self._counted(field, sign, at, value)
        if sign not in ("=", "!=", "~", "!~"):
            self._refuse(at, f"=, !=, ~ or in, as it is {field.kind.value}")
        return self._of_text(field, sign, value)

    def _counted(self, field: Field[_RowT], sign: str, at: _Token, value: _Token) -> Judge[_RowT]:
        compare = _SIGNS.get(sign)
        if compare is None:
            self._refuse(at, f"=, !=, <, <=, > or >=, as it is {field.kind.value}")
        if value.kind == "word":
            other = self._field(value)
            if other.kind not in _COUNTED or (other.kind is Kind.MONEY) != (
                field.kind is Kind.MONEY
            ):
                self._refuse(value, f"{field.kind.value}, as the other side is")
            return compared(field.get, other.get, compare)
        if value.kind != "number":
            self._refuse(value, f"{field.kind.value} such as {_EXAMPLES[field.kind]}")
        wanted, currency = self._number(field.kind, value)
        judge = compared_with(field.get, wanted, compare)
        return in_currency(judge, currency, self._currency_of) if currency else judge

    def _number(self, kind: Kind, token: _Token) -> tuple[float, str]:
        """Return a number as the field counts, and the currency that was named with it."""
        match = _NUMBER.fullmatch(token.text)
        try:
            number = float(match[1].replace("_", "")) if match else float("nan")
        except ValueError:
            number = float("nan")
        unit = match[2] if match else ""
        if number != number:
            self._refuse(token, f"{kind.value} such as {_EXAMPLES[kind]}")
        currency = ""
        if kind is Kind.SECONDS:
            scale = _SECONDS.get(unit or "s")
        elif unit == "%":
            scale = 0.01 if kind is Kind.RATIO else None
        elif unit.isupper() and len(unit) == 3 and kind is Kind.MONEY:
            scale, currency = 1.0, unit
        else:
            scale = _SCALES.get(unit) if unit else 1.0
        if scale is None:
            self._refuse(token, f"{kind.value} such as {_EXAMPLES[kind]}")
        following = self._peek
        if kind is Kind.MONEY and not currency and re.fullmatch("[A-Z]{3}", following.text):
            currency = self._take().text
        # Rounded to a millionth of the unit, so that 12.34 is 12.34 and not the float beside it.
        counted = number * scale * (MICROS if kind is Kind.MONEY else 1)
        return (round(counted) if kind is Kind.MONEY and abs(counted) >= 1 else counted), currency

    def _of_text(self, field: Field[_RowT], sign: str, value: _Token) -> Judge[_RowT]:
        text = value.text[1:-1] if value.kind == "text" else value.text
        if sign in ("~", "!~"):
            matches = re.compile(fnmatch.translate(text)).match
            judge = of_texts(field.get, lambda found: matches(found) is not None)
        else:
            if field.known and text not in field.known:
                self._refuse(value, f"one of {', '.join(field.known)}{_hint(text, field.known)}")
            self._said.append(_Said(field, text, value.at))
            judge = of_texts(field.get, lambda found: found == text)
        return not_so(judge) if sign in ("!=", "!~") else judge


def _hint(text: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


_EXAMPLES = {
    Kind.MONEY: "12.50, 1.5k or 12.50 EUR",
    Kind.NUMBER: "1.2 or 1_000",
    Kind.RATIO: "0.05 or 5%",
    Kind.SECONDS: "90s, 15min, 2h or 3d",
}
