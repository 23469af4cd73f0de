"""The part of Google's query language that is understood here; the rest is refused as there.

    SELECT field, … FROM resource [WHERE field operator value AND …]

with the operators =, !=, IN (…) and BETWEEN … AND …. Fields are checked against the messages.
"""

import re
from collections.abc import Callable
from typing import NoReturn

import grpc
import msgspec
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from engine.sandbox.google.failures import Refused, error_of

__all__ = ["Condition", "Query", "parse"]

_ROW = GoogleAdsRow.pb().DESCRIPTOR
_TOKEN = re.compile(r"\s*(?:('[^'\n]*'|\"[^\"\n]*\")|(!=|=|[(),])|([A-Za-z0-9_.\-]+))")
_KEYWORDS = {"SELECT", "FROM", "WHERE", "AND", "IN", "BETWEEN"}

# Which resources' fields may stand beside those of the one that is asked for.
_BESIDE = {
    "campaign": {"customer", "campaign_budget", "bidding_strategy", "metrics", "segments"},
    "ad_group": {"customer", "campaign", "bidding_strategy", "metrics", "segments"},
    "campaign_budget": {"customer"},
    "bidding_strategy": {"customer"},
    "customer": set[str](),
    "customer_client": {"customer"},
}


class Condition(msgspec.Struct, frozen=True):
    """A condition on a field: it is one of, is none of, or lies between two values."""

    field: str
    operator: str  # "IN", "NOT IN" or "BETWEEN"
    values: tuple[str, ...]

    def holds(self, value: object) -> bool:
        text = str(value).upper() if isinstance(value, bool) else str(value)
        if self.operator == "BETWEEN":
            return self.values[0] <= text <= self.values[1]
        return (text in self.values) == (self.operator == "IN")


class Query(msgspec.Struct, frozen=True):
    """A question that was understood."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]

    @property
    def has_metrics(self) -> bool:
        return any(field.startswith(("metrics.", "segments.")) for field in self.fields)

    def dates(self) -> tuple[str, str] | None:
        """Return the first and last local date asked for, None where the question names none."""
        for condition in self.conditions:
            if condition.field == "segments.date" and condition.operator == "BETWEEN":
                return condition.values[0], condition.values[1]
            if condition.field == "segments.date" and condition.operator == "IN":
                return min(condition.values), max(condition.values)
        return None


def parse(text: str) -> Query:
    """Return what a question asks. Raises Refused with Google's own error."""
    query = _Parser(text).query()
    for field in (*query.fields, *(condition.field for condition in query.conditions)):
        _check(field, query.resource)
    if query.has_metrics and query.dates() is None:
        _refuse("EXPECTED_FILTERS_ON_DATE_RANGE", "A finite range of segments.date is required.")
    for condition in query.conditions:
        _check_names(condition)
        if condition.field == "segments.date":
            _check_dates(condition.values)
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def query(self) -> Query:
        self._keyword("SELECT", "EXPECTED_SELECT")
        fields = tuple(self._list(self._field))
        self._keyword("FROM", "EXPECTED_FROM")
        resource = self._next()
        if resource not in _BESIDE:
            _refuse("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"'{resource}' is not a valid resource.")
        conditions = []
        if self._peek().upper() == "WHERE":
            self._next()
            conditions.append(self._condition())
            while self._peek():
                self._keyword("AND", "EXPECTED_AND")
                conditions.append(self._condition())
        if self._peek():
            _refuse("UNEXPECTED_INPUT", f"Unexpected input '{self._peek()}'.")
        return Query(fields, resource, tuple(conditions))

    def _condition(self) -> Condition:
        field = self._field()
        operator = self._next().upper()
        if operator == "=":
            return Condition(field, "IN", (self._value(),))
        if operator == "!=":
            return Condition(field, "NOT IN", (self._value(),))
        if operator == "BETWEEN":
            first = self._value()
            self._keyword("AND", "EXPECTED_VALUE_WITH_BETWEEN_OPERATOR")
            return Condition(field, "BETWEEN", (first, self._value()))
        if operator == "IN":
            self._symbol("(")
            if self._peek() == ")":
                _refuse("PROHIBITED_EMPTY_LIST_IN_CONDITION", "The list is empty.")
            values = tuple(self._list(self._value))
            self._symbol(")")
            if len(values) > 20_000:
                _refuse("FILTER_HAS_TOO_MANY_VALUES", "The filter has too many values.")
            return Condition(field, "IN", values)
        return _refuse("BAD_OPERATOR", f"The operator '{operator}' is not known.")

    def _list(self, item: Callable[[], str]) -> list[str]:
        items = [item()]
        while self._peek() == ",":
            self._next()
            items.append(item())
        return items

    def _field(self) -> str:
        name = self._next()
        if name.upper() in _KEYWORDS or not name[:1].isalpha():
            _refuse("BAD_FIELD_NAME", f"'{name}' is not a field.")
        return name

    def _value(self) -> str:
        value = self._next()
        if value in {"(", ")", ",", "=", "!="}:
            _refuse("BAD_VALUE", f"'{value}' is not a value.")
        return value.strip("'\"")

    def _symbol(self, symbol: str) -> None:
        if self._next() != symbol:
            _refuse("EXPECTED_LIST", "A list in brackets is expected.")

    def _keyword(self, word: str, otherwise: str) -> None:
        found = self._peek()
        if found.upper() != word:
            _refuse(otherwise, f"'{word}' expected, found '{found}'.")
        self._at += 1

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            _refuse("UNEXPECTED_END_OF_QUERY", "The query ends too early.")
        self._at += 1
        return token


def _tokens(text: str) -> list[str]:
    tokens = []
    at = 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse("BAD_SYMBOL", f"A bad symbol at {at}.")
        tokens.append(found.group().strip())
        at = found.end()
    return tokens


def _check(field: str, resource: str) -> None:
    head, *rest = field.split(".")
    if head != resource and head not in _BESIDE[resource]:
        if head not in _ROW.fields_by_name:
            _refuse("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")
        said = f"'{head}' cannot be selected beside '{resource}'."
        _refuse("PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE", said)
    message = _ROW.fields_by_name[head].message_type
    for number, name in enumerate(rest):
        known = message.fields_by_name.get(name) or message.fields_by_name.get(f"{name}_")
        if known is None or (known.message_type is None) != (number == len(rest) - 1):
            _refuse("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")
        message = known.message_type
    if not rest:
        _refuse("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")


def _check_names(condition: Condition) -> None:
    head, *rest = condition.field.split(".")
    message = _ROW.fields_by_name[head].message_type
    for name in rest[:-1]:
        message = message.fields_by_name[name].message_type
    known = message.fields_by_name
    enum = known[rest[-1] if rest[-1] in known else f"{rest[-1]}_"].enum_type
    for value in condition.values if enum is not None else ():
        if value not in enum.values_by_name:
            _refuse("BAD_ENUM_CONSTANT", f"'{value}' is not a value of '{condition.field}'.")


def _check_dates(values: tuple[str, ...]) -> None:
    for value in values:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
            _refuse("INVALID_DATE_FORMAT", f"'{value}' is not a date of the form YYYY-MM-DD.")
    if values[0] > values[-1]:
        _refuse("DATE_RANGE_TOO_NARROW", "The range ends before it begins.")


def _refuse(value: str, message: str) -> NoReturn:
    raise Refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        error_of("query_error", value, f"Error in query: {message}"),
    )
