"""A log from a file, through duckdb: CSV, JSON Lines or Parquet, by the file's ending.

The file is read into memory first; then duckdb's door to the outside is shut, for good, and only
then are the mapping's expressions looked at: they see this log's columns and nothing else.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.backtest.log import Log
from engine.errors import ConfigError
from engine.logs.mapping import FIELDS, REQUIRED, did_you_mean

if TYPE_CHECKING:
    import duckdb

__all__ = ["ENDINGS", "LogError", "WrongRow", "read_log"]

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
MOST_SHOWN = 20

_SIMPLE = re.compile(r"[^\W\d][\w .-]*")
_CSV = "read_csv(?, header = true, sample_size = -1, strict_mode = true{})"
_READERS = {
    ".csv": _CSV.format(""),
    ".tsv": _CSV.format(", delim = '\t'"),
    ".jsonl": "read_json(?, format = 'newline_delimited', sample_size = -1)",
    ".ndjson": "read_json(?, format = 'newline_delimited', sample_size = -1)",
    ".parquet": "read_parquet(?)",
}

# What a field must be: its SQL, what that is in words. Everything is text first, so that a column
# of mixed kinds is read cell by cell and what is wrong can be named by its row.
_WHOLE = "CASE WHEN try_cast({0} AS DOUBLE) = floor(try_cast({0} AS DOUBLE)) THEN {1} END"
_AMOUNT = "round(try_cast({0} AS DOUBLE) * 1000000)"
_KINDS = {
    "campaign": ("nullif(trim({0}), '')", "the id of a campaign"),
    "platform": ("nullif(lower(trim({0})), '')", "the name of a platform"),
    "at": (
        "CASE WHEN try_cast({0} AS DOUBLE) IS NULL "
        "THEN epoch_ms(try_cast({0} AS TIMESTAMPTZ)) "
        "WHEN try_cast({0} AS DOUBLE) >= 1e11 THEN round(try_cast({0} AS DOUBLE)) "
        "ELSE round(try_cast({0} AS DOUBLE) * 1000) END",
        "a time from 2000 to 2100, such as 2026-11-20T09:00:00Z or epoch seconds",
    ),
    "clicks": (_WHOLE.format("{0}", "try_cast({0} AS DOUBLE)"), "a whole number from 0 to 2^31"),
    "impressions": (
        _WHOLE.format("{0}", "try_cast({0} AS DOUBLE)"),
        "a whole number from 0 to 2^32",
    ),
    "conversions": ("round(try_cast({0} AS DOUBLE) * 1000)", "a number from 0 to 2,147,483"),
    "spend": (_AMOUNT, "an amount from 0, such as 12.50"),
    "bid": (_AMOUNT, "an amount from 0, such as 0.75"),
}
_LARGEST = {
    "at": 4_102_444_800_000,
    "clicks": 2**31 - 1,
    "impressions": 2**32 - 1,
    "conversions": 2**31 - 1,
    "spend": 2**31 * 100 - 1,
    "bid": 2**53,
}
_LEAST = {"at": 946_684_800_000}


class WrongRow(msgspec.Struct, frozen=True):
    """A cell that is not what its field must be. Rows are counted from 1, a header left out."""

    row: int
    field: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        found = "nothing" if self.found is None else repr(self.found)
        return f"row {self.row:,}: {self.field}: {self.wanted}, found {found}"


class LogError(ConfigError):
    """Rows of a log are wrong: the first few of them, and how many there are."""

    def __init__(self, file: Path, rows: list[WrongRow], count: int) -> None:
        super().__init__(f"{file}: {count:,} cells of the log cannot be read")
        self.rows = rows
        self.count = count


def read_log(file: Path, columns: Mapping[str, str]) -> Log:
    """Return the log in a file; `columns` maps fields to columns or SQL expressions over them.

    Fields that are not mapped are read from the column of their own name. Rows of one campaign,
    platform and time are added up (their bids averaged).

    Raises:
        ConfigError: the file cannot be read, or a column is not there.
        LogError: cells are wrong.
        ImportError: duckdb is not installed.
    """
    connection = _connect()
    try:
        return _Reader(connection, file, columns).read()
    finally:
        connection.close()


def _connect() -> "duckdb.DuckDBPyConnection":
    try:
        import duckdb
    except ImportError as error:
        reason = "duckdb is needed for logs: pip install 'campaign-engine[backtest]'"
        raise ImportError(reason) from ImportError(reason + f" ({error})")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    connection = duckdb.connect(":memory:", config=settings)
    # Times that name no zone are UTC's, not this machine's: a log says the same everywhere.
    return connection.execute("SET TimeZone = 'UTC'")


class _Reader:
    """One log being read."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", file: Path, columns: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._file = file
        self._columns = columns
        self._known: list[str] = []

    def read(self) -> Log:
        self._load()
        self._shut()
        sources = self._sources()
        self._refuse_wrong(sources)
        return self._log(sources)

    def _load(self) -> None:
        """Read the file into the table `log`, rows numbered."""
        reader = _READERS.get(self._file.suffix.lower())
        if reader is None:
            wanted = f"a file ending in {', '.join(ENDINGS)}"
            raise ConfigError(f"{self._file}: {wanted}, found {self._file.name!r}")
        if not self._file.is_file():
            found = "a folder" if self._file.is_dir() else "nothing there"
            raise ConfigError(f"{self._file}: a file to read, found {found}")
        # A name with a star in it is that file, not a pattern.
        name = re.sub(r"([*?\[])", r"[\1]", str(self._file))
        self._run(f"CREATE TABLE raw AS SELECT * FROM {reader}", [name])
        described = self._run("DESCRIBE raw").fetchall()
        self._known = [row[0] for row in described]
        shown = ", ".join(
            f"{_quoted(name)}->>'$' AS {_quoted(name)}" if kind == "JSON" else _quoted(name)
            for name, kind, *_ in described
        )
        self._run(f"CREATE VIEW log AS SELECT {shown} FROM raw")

    def _shut(self) -> None:
        """Let nothing in or out from here on."""
        for setting in ("SET enable_external_access = false", "SET lock_configuration = true"):
            self._run(setting)

    def _sources(self) -> dict[str, str]:
        """Return each field's text as SQL; fields that the log does not have are left out."""
        sources = {}
        for field in FIELDS:
            column = self._columns.get(field, field)
            exact = {name.lower(): name for name in self._known}.get(column.lower())
            if exact is not None:
                expression = _quoted(exact)
            elif field not in self._columns and field not in REQUIRED:
                continue
            elif _SIMPLE.fullmatch(column):
                raise ConfigError(self._missing(field, column))
            else:
                expression = self._expression(field, column)
            sources[field] = f"({expression})::VARCHAR"
        return sources

    def _missing(self, field: str, column: str) -> str:
        hint = did_you_mean(column, self._known)
        how = "" if field in self._columns else f" (say --map {field}=COLUMN)"
        has = ", ".join(self._known)
        return f"{self._file}: no column {column!r} for {field}{hint}{how}; it has {has}"

    def _expression(self, field: str, text: str) -> str:
        """Return an expression that has been tried; one, not the end of one and more."""
        query = f"SELECT ({text}\n)::VARCHAR FROM log LIMIT 0"
        where = f"{self._file}: {field} = {text}"
        try:
            if len(self._connection.extract_statements(query)) != 1:
                raise ConfigError(f"{where}: one expression over columns, found several statements")
            if len(self._connection.execute(query).description or ()) != 1:
                raise ConfigError(f"{where}: one expression over columns, found several")
        except _duckdb_error() as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(f"{where}: an expression over columns, found {reason}") from None
        return f"{text}\n"

    def _refuse_wrong(self, sources: Mapping[str, str]) -> None:
        """Raise LogError where cells are wrong; optional fields may be empty."""
        texts = ", ".join(f"{source} AS {_quoted(field)}" for field, source in sources.items())
        self._run(
            f"CREATE TABLE cells AS SELECT row_number() OVER () AS row_number, {texts} FROM log"
        )
        wrong = " UNION ALL ".join(
            f"SELECT row_number, {number}, {_quoted(field)} FROM cells WHERE {_is_wrong(field)}"
            for number, field in enumerate(sources)
        )
        names = list(sources)
        count = self._run(f"SELECT count(*) FROM ({wrong})").fetchall()[0][0]
        if not count:
            return
        rows = self._run(f"{wrong} ORDER BY 1, 2 LIMIT {MOST_SHOWN}").fetchall()
        found = [
            WrongRow(row, names[number], _KINDS[names[number]][1], text)
            for row, number, text in rows
        ]
        raise LogError(self._file, found, count)

    def _log(self, sources: Mapping[str, str]) -> Log:
        values = ", ".join(f"{_value(field)} AS {_quoted(field)}" for field in sources)
        self._run(f"CREATE TABLE found AS SELECT {values} FROM cells")
        campaigns, platforms = (self._number(name) for name in ("campaign", "platform"))
        counts = [f"sum(coalesce({name}, 0))::BIGINT AS {name}" for name in ("clicks", "spend")]
        counts += [
            f"sum(coalesce({name}, 0))::BIGINT AS {name}" if name in sources else f"0 AS {name}"
            for name in ("impressions", "conversions")
        ]
        # Of rows without a bid nothing is known: they do not pull the others' down.
        bid = "coalesce(round(avg(nullif(bid, 0))), 0)::BIGINT" if "bid" in sources else "0"
        columns = self._run(
            "SELECT campaigns.number AS campaign, platforms.number AS platform, "
            f'found."at"::BIGINT AS ended, {", ".join(counts)}, {bid} AS bid FROM found '
            "JOIN campaigns ON campaigns.name = found.campaign "
            "JOIN platforms ON platforms.name = found.platform "
            "GROUP BY ALL ORDER BY ended, campaigns.number, platforms.number"
        ).fetchnumpy()

        def ints(name: str) -> Any:  # noqa: ANN401 - numpy's
            return np.asarray(columns[name], dtype=np.int64)

        return Log(
            campaigns=tuple(campaigns),
            platforms=tuple(platforms),
            campaign=ints("campaign"),
            platform=ints("platform"),
            at_ms=ints("ended"),
            impressions=ints("impressions"),
            clicks=ints("clicks"),
            milliconversions=ints("conversions"),
            spend_micros=ints("spend"),
            bid_micros=ints("bid") if "bid" in sources else None,
        )

    def _number(self, field: str) -> list[str]:
        """Return the names in a column, in order; the table `<field>s` has their numbers."""
        self._run(
            f"CREATE TABLE {field}s AS SELECT {field} AS name, "
            f"row_number() OVER (ORDER BY {field}) - 1 AS number "
            f"FROM (SELECT DISTINCT {field} FROM found)"
        )
        rows = self._run(f"SELECT name FROM {field}s ORDER BY number").fetchall()
        return [row[0] for row in rows]

    def _run(self, query: str, values: list[str] | None = None) -> "duckdb.DuckDBPyConnection":
        try:
            return self._connection.execute(query, values)
        except _duckdb_error() as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{self._file}: a log to read, found {reason[:300]}") from None
        except RuntimeError as error:
            if "interrupted" in str(error):  # duckdb's word for Ctrl-C
                raise KeyboardInterrupt from None
            raise


def _value(field: str) -> str:
    return _KINDS[field][0].format(_quoted(field))


def _is_wrong(field: str) -> str:
    """Return the SQL condition under which a cell is wrong."""
    value, text = _value(field), _quoted(field)
    if field in ("campaign", "platform"):
        return f"{value} IS NULL"
    # NaN passes no comparison in Python, but is the greatest number in SQL.
    ranged = f"coalesce({value} BETWEEN {_LEAST.get(field, 0)} AND {_LARGEST[field]}, false)"
    return f"NOT {ranged}" if field in REQUIRED else f"{text} IS NOT NULL AND NOT {ranged}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error
