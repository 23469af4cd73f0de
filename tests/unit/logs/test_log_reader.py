"""People's logs: any of four formats, any columns, and errors that name the cell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from engine.backtest.log import Log
from engine.errors import ConfigError
from engine.logs.mapping import mapping_of, parse_map
from engine.logs.reader import LogError, read_log

HEADER = "campaign,platform,at,clicks,spend"
PLAIN = f"{HEADER}\na,google,2026-11-02T01:00:00Z,5,1.25\na,meta,2026-11-02T01:00:00Z,7,2\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "log.csv"
    file.write_text(PLAIN)
    return file


def columns(log: Log) -> dict[str, object]:
    return {
        "clicks": log.clicks.tolist(),
        "spend": log.spend_micros.tolist(),
        "at": log.at_ms.tolist(),
        "platform": [log.platforms[i] for i in log.platform.tolist()],
    }


def test_all_formats_hold_the_same_log(written: Path, tmp_path: Path) -> None:
    wanted = columns(read_log(written, {}))
    assert wanted["spend"] == [1_250_000, 2_000_000]
    lines = [dict(zip(HEADER.split(","), line.split(","), strict=True))
             for line in PLAIN.splitlines()[1:]]  # fmt: skip
    jsonl, tsv, parquet = (tmp_path / f"log.{end}" for end in ("jsonl", "tsv", "parquet"))
    jsonl.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tsv.write_text(PLAIN.replace(",", "\t"))
    duckdb.sql(f"COPY (FROM '{written}') TO '{parquet}'")
    assert all(columns(read_log(file, {})) == wanted for file in (jsonl, tsv, parquet))


@pytest.mark.parametrize(
    "at",
    ["2026-11-02T01:00:00Z", "2026-11-02 02:00:00+01:00", "2026-11-02 01:00", "1793581200",
     "1793581200000"],
)  # fmt: skip
def test_times_are_read_as_people_write_them(tmp_path: Path, at: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"{HEADER}\na,google,{at},5,1\n")
    assert read_log(file, {}).at_ms.tolist() == [1_793_581_200_000]


def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(f"{HEADER}\na,google,2026-11-02 01:00,5,1\n")
    asked = (
        "import sys; from pathlib import Path; from engine.logs.reader import read_log; "
        "print(read_log(Path(sys.argv[1]), {}).at_ms[0])"
    )
    found = subprocess.run(
        [sys.executable, "-c", asked, str(file)],
        env={**os.environ, "TZ": "Asia/Tokyo"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "1793581200000"


def test_expressions_are_read_over_the_logs_columns(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("name,hour,n,cost_micros\nShoes,2026-11-02T00:00:00Z,5,1250000\n")
    log = read_log(
        file,
        {
            "campaign": "lower(name)",
            "platform": "'Google'",
            "at": "hour + INTERVAL 1 HOUR",
            "clicks": "n",
            "spend": "cost_micros / 1e6 -- in full",
        },
    )
    assert (log.campaigns, log.platforms) == (("shoes",), ("google",))
    assert log.at_ms.tolist() == [1_793_581_200_000]
    assert log.spend_micros.tolist() == [1_250_000]


def test_rows_of_one_stretch_are_added_up_and_their_known_bids_averaged(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(
        f"{HEADER},bid\na,google,1793581200,5,1,0.50\na,google,1793581200,3,2,\n"
        "a,google,1793581200,1,1,0.70\na,google,1793581200,1,1,0\n"
    )
    log = read_log(file, {})
    assert log.clicks.tolist() == [10]
    assert log.bid_micros is not None
    assert log.bid_micros.tolist() == [600_000]


def test_a_column_that_is_not_there_comes_with_the_one_that_is(written: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column 'spendd' for spend \(did you mean spend\?\)"):
        read_log(written, {"spend": "spendd"})
    bare = written.with_name("bare.csv")
    bare.write_text(PLAIN.replace("spend", "cost"))
    with pytest.raises(ConfigError, match=r"no column 'spend' for spend \(say --map spend=COLUMN"):
        read_log(bare, {})


def test_wrong_cells_are_named_by_row_field_and_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(
        f"{HEADER}\na,google,2026-11-02,5,1\na,google,soon,x,-1\n,google,2026-11-03,5.5,nan\n"
        "a,google,1893456000,,1e300\n"
    )
    with pytest.raises(LogError) as refused:
        read_log(file, {})
    assert refused.value.count == 8
    assert [(row.row, row.field, row.found) for row in refused.value.rows] == [
        (2, "at", "soon"),
        (2, "clicks", "x"),
        (2, "spend", "-1.0"),
        (3, "campaign", None),
        (3, "clicks", "5.5"),
        (3, "spend", "nan"),
        (4, "clicks", None),
        (4, "spend", "1e+300"),
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "(SELECT count(*) FROM read_text('/etc/hostname'))",
        "(SELECT count(*) FROM read_csv('{file}'))",
        "1); COPY raw TO '{file}.out'; SELECT (1",
        "1; SET enable_external_access = true",
        "1), (SELECT 2",
    ],
)
def test_an_expression_sees_the_log_and_nothing_else(written: Path, expression: str) -> None:
    with pytest.raises(ConfigError, match=r"an expression over columns|one expression"):
        read_log(written, {"spend": expression.format(file=written)})
    assert [path.name for path in written.parent.iterdir()] == ["log.csv"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("log.xlsx", "x", "a file ending in .csv, .tsv, .jsonl, .ndjson, .parquet"),
        ("log.parquet", "x", "a log to read, found"),
        ("log.jsonl", "{", "a log to read, found"),
        ("no/log.csv", None, "a file to read, found nothing there"),
    ],
)
def test_a_file_that_is_no_log_is_one_line(
    tmp_path: Path, name: str, content: str | None, line: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_log(file, {})
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_with_a_star_is_that_file_and_no_pattern(written: Path) -> None:
    star = written.with_name("l*.csv")
    star.write_text(f"{HEADER}\nb,google,1793581200,1,1\n")
    assert read_log(star, {}).campaigns == ("b",)


def test_a_mapping_names_fields_that_there_are() -> None:
    assert parse_map("spend = cost / 1e6") == ("spend", "cost / 1e6")
    with pytest.raises(ConfigError, match=r"did you mean spend\?"):
        parse_map("spent=cost")
    with pytest.raises(ConfigError, match="field=column such as spend=cost"):
        parse_map("spend")
    with pytest.raises(ConfigError, match=r"c.yaml: columns.spend: a column .* found 3"):
        mapping_of({"spend": 3}, where="c.yaml")
    with pytest.raises(ConfigError, match=r"c.yaml: columns: a mapping .* found list"):
        mapping_of(["spend"], where="c.yaml")
