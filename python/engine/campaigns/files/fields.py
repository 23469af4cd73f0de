"""Values of a row as the types they stand for; what does not fit is reported, not raised.

A reader that has reported a field goes on with a stand-in, so that all problems of a row are
found at once.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from engine.campaigns.files.rows import Path
from engine.domain.money import to_micros

__all__ = ["Fields", "Report", "did_you_mean"]

Report = Callable[[Path, str, object], None]
"""Takes the path of a field, what was wanted and the value found."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint to the known name nearest to `name`; "" where none is near.

    >>> did_you_mean("budgett", ["id", "budget"])
    ' (did you mean budget?)'
    """
    near = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


class Fields:
    """One mapping of a row, read field by field."""

    def __init__(
        self, values: dict[str, object], *, report: Report, is_text: bool, path: Path = ()
    ) -> None:
        self._values = values
        self._report = report
        self._is_text = is_text
        self._path = path

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            return value
        wanted = "text"
        if isinstance(value, int | Decimal):
            wanted = f'text (in quotes: "{value}")'
        self.refuse(name, wanted)
        return default

    def amount(self, name: str, *, stand_in: int = 1) -> int | None:
        """Return an amount as micros; `stand_in` after a report."""
        number = self._number(name, "an amount such as 12.50")
        if number is None:
            return stand_in if self.has(name) else None
        try:
            return to_micros(number)
        except ValueError as error:
            self.refuse(name, str(error).partition(", found ")[0])
            return stand_in

    def ratio(self, name: str) -> float | None:
        number = self._number(name, "a number such as 0.5")
        if number is None:
            return 1.0 if self.has(name) else None
        return float(number)

    def whole(self, name: str) -> int | None:
        wanted = "a whole number"
        number = self._number(name, wanted)
        if number is None:
            return 1 if self.has(name) else None
        # Compared before it is converted: int(Decimal("1e400")) has 400 digits.
        if number.copy_abs() >= 2**63 or number != int(number):
            self.refuse(name, wanted)
            return 1
        return int(number)

    def words(self, name: str, wanted: str) -> tuple[str, ...]:
        """Return a list of texts; one text may stand alone, and "a|b" for two in a text cell."""
        value = self._values.get(name)
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split("|")) if self._is_text else (value,)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.refuse(name, wanted)
        return ()

    def mapping(self, name: str, wanted: str) -> "Fields":
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            self.refuse(name, wanted)
        return Fields(
            value if isinstance(value, dict) else {},
            report=self._report,
            is_text=self._is_text,
            path=(*self._path, name),
        )

    def raw(self, name: str) -> object:
        return self._values.get(name)

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def names(self) -> list[str]:
        return list(self._values)

    def require(self, *names: str, by: str = "campaign") -> None:
        """Report those that are not given."""
        for name in names:
            if not self.has(name):
                self.refuse(name, f"this field, which every {by} needs")

    def know(self, *names: str) -> None:
        """Report whatever has another name."""
        for name in self._values:
            if name not in names:
                self._report((*self._path, name), f"a known field{did_you_mean(name, names)}", name)

    def refuse(self, name: str, wanted: str) -> None:
        self._report((*self._path, name), wanted, self._values.get(name))

    def _number(self, name: str, wanted: str) -> Decimal | None:
        """Return a finite number; None where there is none, or after a report."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool):
            self.refuse(name, wanted)
            return None
        if isinstance(value, int | Decimal):
            return Decimal(value)
        if isinstance(value, str):
            if self._is_text and _DECIMAL.fullmatch(value):
                return Decimal(value)
            wanted += _number_hint(value)
        self.refuse(name, wanted)
        return None


def _number_hint(text: str) -> str:
    """Return what keeps a text from being a number, where it nearly is one."""
    bare = text.strip()
    if _DECIMAL.fullmatch(bare):
        return " (without quotes)"
    if bare.endswith("%"):
        return " (0.5 for 50 %)"
    if re.fullmatch(r"[+-]?[\d,._' ]*\d", bare):
        return " (a point before the decimals, no thousands separators)"
    if re.fullmatch(r"[^\d]{1,4}[\d,.]+|[\d,.]+\s*[^\d]{1,4}", bare):
        return " (without a currency sign or a unit)"
    return ""
