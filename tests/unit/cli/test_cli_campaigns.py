"""`engine publish`, `list`, `show`, `pause`, `resume`, `stop`: what they print and leave with."""

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Engine

EXAMPLES = Path(__file__).parents[3] / "examples"
CAMPAIGNS = str(EXAMPLES / "campaigns.yaml")
HEADER = "id,budget,flight.starts_at,flight.ends_at,target_cpa,platforms\n"


def rows(*ids: str, budget: str = "10") -> str:
    return HEADER + "".join(
        f"{one},{budget},2026-01-01T00:00:00Z,2099-01-01T00:00:00Z,2,google\n" for one in ids
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "campaigns.csv"


def test_publish_prints_one_summary_line(engine: "Engine", file: Path) -> None:
    file.write_text(rows("a", "b"))
    assert engine("publish", file) == (
        0,
        "published 2: 2 created, 0 updated, 0 unchanged; 0 refused\n",
        "",
    )
    file.write_text(rows("a", budget="20") + rows("b", "c").removeprefix(HEADER))
    result = engine("publish", file)
    assert result.out == "published 3: 1 created, 1 updated, 1 unchanged; 0 refused\n"


def test_bad_rows_are_listed_and_good_ones_published_with_exit_code_1(
    engine: "Engine", file: Path
) -> None:
    file.write_text(rows("a", "b b", "c"))
    result = engine("publish", file)
    assert result.code == 1
    assert result.out == "published 2: 2 created, 0 updated, 0 unchanged; 1 refused\n"
    assert result.err == f"{file}:3: id: wanted 1 to 64 of A-Z a-z 0-9 _ -, found 'b b'\n"


def test_only_the_first_20_problems_are_listed_and_all_kept_on_request(
    engine: "Engine", file: Path, tmp_path: Path
) -> None:
    file.write_text(rows(*("x y",) * 50))
    rejects = tmp_path / "rejects.jsonl"
    result = engine("publish", file, "--rejects", rejects)
    assert result.code == 1
    assert len(result.err.splitlines()) == 21
    assert result.err.splitlines()[-1] == f"… and 30 more: all of them in {rejects}"
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [one["line"] for one in kept] == list(range(2, 52))
    result = engine("publish", file, "--json")
    assert len(json.loads(result.out)["problems"]) == 50
    assert result.err == ""


def test_a_dry_run_changes_nothing(engine: "Engine") -> None:
    result = engine("publish", CAMPAIGNS, "--dry-run")
    assert result.out == "would publish 3: 3 created, 0 updated, 0 unchanged; 0 refused\n"
    assert json.loads(engine("list", "--json").out) == []


def test_nothing_readable_is_exit_code_2(engine: "Engine", tmp_path: Path) -> None:
    result = engine("publish", tmp_path / "no.yaml")
    assert result.code == 2
    assert "found no such file" in result.err
    assert engine("publish").code == 2
    assert engine("publish", CAMPAIGNS, "--rejects", tmp_path).code == 2


def test_list_filters_and_says_when_it_is_cut(engine: "Engine", file: Path) -> None:
    file.write_text(rows(*(f"c{i:02}" for i in range(60))))
    engine("publish", file)
    engine("pause", "c07")
    result = engine("list")
    assert len(result.out.splitlines()) == 51
    assert result.err == "50 of 60 campaigns; --limit N shows more, --json all\n"
    assert [one["state"] for one in json.loads(engine("list", "--json").out)].count("active") == 59
    (paused,) = json.loads(engine("list", "--state", "paused", "--json").out)
    assert paused["definition"]["id"] == "c07"
    assert json.loads(engine("list", "--platform", "meta", "--json").out) == []
    assert engine("list", "--platform", "meta").err == "no campaigns\n"
    assert len(json.loads(engine("list", "--json", "--limit", "3").out)) == 3
    assert engine("list", "--limit", "0").code == 2


def test_show_tells_everything_that_was_asked_for(engine: "Engine") -> None:
    engine("publish", CAMPAIGNS)
    result = engine("show", "spring-jackets")
    assert result.code == 0
    for text in (
        "Spring jackets",
        "400.00 EUR",
        "target-cpa",
        "meta (max_bid 1.20 daily_cap",
        "by at",
    ):
        assert text in result.out
    shown = json.loads(engine("show", "spring-jackets", "--json").out)
    assert shown["definition"]["budget_micros"] == 400_000_000
    assert shown["state"] == "active"
    assert shown["decision"] is None


def test_show_of_an_unknown_campaign_fails(engine: "Engine") -> None:
    result = engine("show", "nobody")
    assert result.code == 1
    assert result.err == "nobody: wanted a published campaign, found nothing (engine list)\n"
    assert engine("show", "no body").code == 2


def test_pause_and_resume_several_of_which_one_is_unknown(engine: "Engine") -> None:
    engine("publish", CAMPAIGNS)
    result = engine("pause", "spring-shoes", "nobody", "summer-teaser", "--note", "holiday")
    assert result.code == 1
    assert result.out == "spring-shoes: active → paused\nsummer-teaser: active → paused\n"
    assert result.err == "nobody: wanted a published campaign, found nothing\n"
    assert "by" in engine("show", "spring-shoes").out
    assert "holiday" in engine("show", "spring-shoes").out
    result = engine("resume", "spring-shoes", "--json")
    assert json.loads(result.out) == [
        {"campaign": "spring-shoes", "was": "paused", "state": "active"}
    ]


def test_an_illegal_way_is_refused_with_the_legal_ones(engine: "Engine") -> None:
    engine("publish", CAMPAIGNS, "--draft")
    result = engine("pause", "spring-shoes")
    assert result.code == 1
    assert result.err == (
        "spring-shoes: draft cannot become paused (legal from here: active, scheduled, stopped)\n"
    )
    assert engine("resume", "spring-shoes").out == "spring-shoes: draft → active\n"


def test_stop_asks_unless_told_yes(engine: "Engine", monkeypatch: pytest.MonkeyPatch) -> None:
    engine("publish", CAMPAIGNS)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert engine("stop", "spring-shoes").code == 2
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    result = engine("stop", "spring-shoes")
    assert result.code == 1
    assert result.err == "Stop spring-shoes for good? [y/N] nothing was stopped\n"
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert engine("stop", "spring-shoes").out == "spring-shoes: active → stopped\n"
    assert engine("stop", "summer-teaser", "--yes").code == 0
    assert "the state is final" in engine("resume", "spring-shoes").err


@pytest.mark.parametrize("verb", ["pause", "resume", "stop"])
def test_steering_nobody_is_not_understood(engine: "Engine", verb: str) -> None:
    assert engine(verb).code == 2
    assert engine(verb, "a b", *(["--yes"] if verb == "stop" else [])).code == 2
