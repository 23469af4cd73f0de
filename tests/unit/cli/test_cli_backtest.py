"""`engine backtest`: from a log to results and a report, and one line for what is wrong."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.backtest.results import Results

if TYPE_CHECKING:
    from .conftest import Engine

EXAMPLES = Path(__file__).parents[3] / "examples" / "backtest"
LOG, CAMPAIGNS = EXAMPLES / "log.csv", EXAMPLES / "campaigns.yaml"


def test_the_example_gives_results_and_a_report(engine: "Engine", tmp_path: Path) -> None:
    result = engine("backtest", LOG, "--campaigns", CAMPAIGNS, "--out", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    found = msgspec.json.decode((tmp_path / "out" / "results.json").read_bytes(), type=Results)
    assert found.inputs.rows == 672
    assert found.inputs.interval_s == 3600
    assert [one.campaign for one in found.simulated] == ["spring-shoes", "spring-jackets"]
    for one in found.simulated:
        assert one.totals.spend_micros <= one.budget_micros
        assert one.model is not None
        assert one.model.engine is not None
        assert 0 <= (one.model.engine.regret or 0) < 0.5
    assert "inside a model fitted from the log" in result.out


def test_a_second_run_writes_the_same_bytes(engine: "Engine", tmp_path: Path) -> None:
    for name in ("one", "two"):
        engine("backtest", LOG, "--campaigns", CAMPAIGNS, "--out", tmp_path / name, "--charts", "1")
    for file in ("results.json", "report.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_report_stands_alone_and_says_what_is_a_model(engine: "Engine", tmp_path: Path) -> None:
    engine("backtest", LOG, "--campaigns", CAMPAIGNS, "--out", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "//" not in re.sub(r"<style>.*?</style>", "", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)
    for words in (
        "Spend against plan",
        "Bids per platform (simulated)",
        "ROI per click per platform (observed)",
        "within the interval",
        "Pareto front of spend and conversions (in the model)",
        "Regret against the hindsight optimum (in the model)",
        "no bid of the engine was ever in force",
        "inside that model, not in the world",
    ):
        assert words in page
    colours = {
        found.lower() for found in re.findall(r"#[0-9a-fA-F]{6}\b", page.partition("</style>")[2])
    }
    assert colours == set()  # all of them are the page's own, light or dark


def test_names_in_the_log_cannot_write_into_the_report(engine: "Engine", tmp_path: Path) -> None:
    log = tmp_path / "<script>.csv"
    log.write_bytes(LOG.read_bytes())
    engine("backtest", log, "--campaigns", CAMPAIGNS, "--out", tmp_path, "--charts", "0")
    assert "<script" not in (tmp_path / "report.html").read_text()


def test_json_is_one_object_with_the_documented_fields(engine: "Engine") -> None:
    result = engine("backtest", LOG, "--campaigns", CAMPAIGNS, "--json", "--mode", "observe")
    found = json.loads(result.out)
    assert found["inputs"]["modes"] == ["observe"]
    assert found["simulated"] == []
    assert found["observed"][0]["cpc"]["covered"] > 0.8
    assert found["observed"][0]["model"]["engine"] is None


def test_a_change_changes_what_is_decided(engine: "Engine") -> None:
    given = ("backtest", LOG, "--campaigns", CAMPAIGNS, "--json", "--mode", "simulate")
    plain = json.loads(engine(*given).out)
    half = json.loads(engine(*given, "--set", "budget=x0.5").out)
    spent = [one["simulated"][0]["totals"]["spend_micros"] for one in (plain, half)]
    assert spent[1] <= half["simulated"][0]["budget_micros"] < spent[0]
    assert half["inputs"]["changes"] == ["budget=x0.5"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--map", "spend=csot"), "no column 'csot' for spend (did you mean cost?)"),
        (("--map", "spnd=cost"), "did you mean spend?"),
        (("--set", "max_chang=0.2"), "did you mean max_change?"),
        (("--mode", "obsrve"), 'Did you mean "observe"?'),
        (("--interval", "60"), "at least the log's own 3600 s to simulate"),
        (("--interval", "0"), "--interval: seconds from 0.02"),
        (("--charts", "-1"), "--charts: 0 or more, found -1"),
        (("--out", LOG), "a folder, found"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_code_two(
    engine: "Engine", arguments: tuple[str, ...], line: str
) -> None:
    result = engine("backtest", LOG, "--campaigns", CAMPAIGNS, *arguments)
    assert (result.code, result.out) == (2, "")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_wrong_cells_are_listed_by_row(engine: "Engine", tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    lines = LOG.read_text().splitlines()
    lines[41] = lines[41].rpartition(",")[0].rpartition(",")[0] + ",a lot,1"
    log.write_text("\n".join(lines))
    result = engine("backtest", log, "--campaigns", CAMPAIGNS)
    assert result.code == 2
    assert f"{log}: row 41: spend: an amount from 0, such as 12.50, found 'a lot'" in result.err


def test_a_log_of_other_campaigns_names_the_nearest(engine: "Engine", tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(LOG.read_text().replace("spring-shoes", "spring-shoe"))
    result = engine("backtest", log, "--campaigns", CAMPAIGNS, "--mode", "observe")
    assert result.code == 0
    assert "336 rows left out: campaign 'spring-shoe' (did you mean spring-shoes?)" in result.err
    log.write_text(log.read_text().replace("spring-jackets", "x"))
    result = engine("backtest", log, "--campaigns", CAMPAIGNS)
    assert result.code == 2
    assert "rows of the campaigns of the file" in result.err


def test_columns_beside_campaigns_do_not_keep_a_file_from_being_published(
    engine: "Engine",
) -> None:
    assert engine("publish", CAMPAIGNS, "--dry-run").code == 0
