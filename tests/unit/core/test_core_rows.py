"""Rows that cross the border are laid out here as the core reads them."""

from itertools import pairwise

import numpy as np
import pytest

from engine import _core
from engine.core import rows
from engine.domain.decision import Action, Binding, Condition


@pytest.mark.parametrize(
    ("row", "size"),
    [
        (rows.FRAME_HEADER, 32),
        (rows.SAMPLE_ROW, 32),
        (rows.CAMPAIGN_ROW, 168),
        (rows.SERIES_ROW, 40),
        (rows.ACCOUNT_ROW, 48),
        (rows.DECISION_ROW, 48),
        (rows.SERIES_DECISION_ROW, 72),
        (rows.LEDGER_ROW, 24),
    ],
)
def test_a_row_is_packed_and_as_long_as_the_core_has_it(row: np.dtype[np.void], size: int) -> None:
    assert row.itemsize == size
    assert row.fields is not None
    fields = [row.fields[name] for name in row.names or ()]
    assert all(before[1] + before[0].itemsize == after[1] for before, after in pairwise(fields)), (
        "no gaps"
    )


def test_the_core_names_actions_bindings_and_conditions_by_the_same_codes() -> None:
    assert tuple(action.name for action in Action) == _core.ACTIONS
    assert tuple(binding.name for binding in Binding) == _core.BINDINGS
    assert tuple(condition.name for condition in Condition) == _core.CONDITIONS
    assert [condition.value for condition in Condition] == list(range(len(Condition)))
    assert [action.value for action in Action] == list(range(len(Action)))
    assert [binding.value for binding in Binding] == list(range(len(Binding)))


def campaign_row(**fields: float) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    row = np.zeros(1, rows.CAMPAIGN_ROW)
    wanted: dict[str, float] = {
        "campaign": 1,
        "budget_micros": 1_000_000,
        "starts_at_ms": 1000,
        "ends_at_ms": 2000,
        "max_change": 0.5,
        "unit_micros": 100,
        "is_active": 1,
        "series_count": 1,
    }
    for field, value in (wanted | fields).items():
        row[field] = value
    return row


def series_row(**fields: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    row = np.zeros(1, rows.SERIES_ROW)
    for field, value in ({"series": 2} | fields).items():
        row[field] = value
    return row


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("budget_micros", -1),
        ("starts_at_ms", -2),
        ("ends_at_ms", 999),
        ("conversion_value_micros", -3),
        ("target_cpa_micros", -4),
        ("target_roas", -0.5),
        ("target_reach", -5),
        ("daily_cap_micros", -6),
        ("min_bid_micros", -7),
        ("max_bid_micros", -8),
        ("max_change", -0.25),
        ("unit_micros", 2_000_000),
        ("calendar", 77),
        ("strategy", 6),
        ("is_active", 2),
        ("reserved", 1),
    ],
)
def test_the_core_reads_each_field_where_the_row_has_it(field: str, found: float) -> None:
    """A value that is refused comes back by name: so the field is at the same place in Rust."""
    book = _core.Book()
    with pytest.raises(_core.CoreError) as refused:
        book.put(campaign_row(**{field: found}).tobytes(), series_row().tobytes())
    assert field in str(refused.value)
    assert (f"{found:#018x}" if field == "calendar" else str(found)) in str(refused.value)
    assert len(book) == 0


@pytest.mark.parametrize("field", ["min_bid_micros", "max_bid_micros", "daily_cap_micros"])
def test_the_core_reads_each_field_of_a_series_where_the_row_has_it(field: str) -> None:
    with pytest.raises(_core.CoreError, match=rf"series\.{field} must be .*, was -9"):
        _core.Book().put(campaign_row().tobytes(), series_row(**{field: -9}).tobytes())


def test_a_book_takes_any_buffer() -> None:
    campaigns, series = campaign_row(), series_row()
    books = []
    for kind in (bytes, bytearray, memoryview):
        book = _core.Book()
        book.put(kind(campaigns.tobytes()), kind(series.tobytes()))
        books.append(book.snapshot())
    book = _core.Book()
    book.put(campaigns.data, series.data)
    books.append(book.snapshot())
    assert len(set(books)) == 1
    assert len(_core.Book.restore(bytearray(books[0]))) == 1
    with pytest.raises(TypeError):
        book.put("no buffer", series)  # type: ignore[arg-type]
