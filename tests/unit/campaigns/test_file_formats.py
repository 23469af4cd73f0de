"""The same campaigns in four formats are the same definitions; times and defaults."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.campaigns.files.definition import BOUNDS, FIELDS, FLIGHT, GUARDRAILS
from engine.campaigns.files.reader import read_definitions
from engine.campaigns.files.schema import schema
from engine.domain.campaign import Definition, Flight, Guardrails, PlatformBounds, Strategy
from engine.domain.validation import problems_of

EXAMPLES = Path(__file__).parents[3] / "examples"
NOW = 1_795_000_000.0


def read(path: Path, *, now: float = NOW) -> list[Definition]:
    reading = read_definitions([path], now=now)
    assert reading.problems == []
    return [found.definition for found in reading.found]


def one(tmp_path: Path, **fields: object) -> Definition:
    whole = {
        "id": "a",
        "budget": 1,
        "platforms": ["google"],
        "conversion_value": 1,
        "flight": {"starts_at": "now", "ends_at": "+1d"},
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(whole | fields))
    (definition,) = read(path)
    return definition


def test_every_format_gives_the_same_definitions() -> None:
    yaml, *others = (
        read(EXAMPLES / f"campaigns.{ending}") for ending in ("yaml", "json", "jsonl", "csv")
    )
    assert len(yaml) >= 3
    for other in others:
        assert other == yaml


def test_every_field_arrives_where_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("""\
campaigns:
  - id: spring
    name: Spring
    budget: 1000.5
    currency: EUR
    timezone: Europe/Berlin
    flight: {starts_at: 2026-12-01, ends_at: 2026-12-31T12:00:00+01:00}
    strategy: target-roas
    conversion_value: 20
    target_cpa: 5.25
    target_roas: 4
    target_reach: 100000
    platforms:
      google: {min_bid: 0.1, max_bid: 2, daily_cap: 50, ad_account: "12-3", entity: adGroups/5}
      meta:
    guardrails: {min_bid: 0.05, max_bid: 3, max_change: 0.25, daily_cap: 100}
    labels: {team: shoes, country: no}
""")
    assert read(path) == [
        Definition(
            id="spring",
            name="Spring",
            budget_micros=1_000_500_000,
            currency="EUR",
            timezone="Europe/Berlin",
            flight=Flight(
                datetime(2026, 12, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp(),
                datetime(2026, 12, 31, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp(),
            ),
            strategy=Strategy.TARGET_ROAS,
            conversion_value_micros=20_000_000,
            target_cpa_micros=5_250_000,
            target_roas=4.0,
            target_reach=100_000,
            platforms={
                "google": PlatformBounds(100_000, 2_000_000, 50_000_000, "12-3", "adGroups/5"),
                "meta": PlatformBounds(),
            },
            guardrails=Guardrails(50_000, 3_000_000, 0.25, 100_000_000),
            labels={"team": "shoes", "country": "no"},
        )
    ]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "flight"),
    [
        ("now", "+2h", (NOW, NOW + 7_200)),
        ("+30m", "+90s", (NOW + 1_800, NOW + 1_890)),
        (1_796_000_000, 1_797_000_000.5, (1_796_000_000.0, 1_797_000_000.5)),
        ("2026-12-01T00:00:00Z", "+1w", (1_796_083_200.0, 1_796_688_000.0)),
        ("2026-12-01T00:00:00-05:00", "2026-12-02T00:00:00Z", (1_796_101_200.0, 1_796_169_600.0)),
    ],
)
def test_times_are_iso_epoch_now_or_offsets(
    tmp_path: Path, starts_at: object, ends_at: object, flight: tuple[float, float]
) -> None:
    definition = one(tmp_path, flight={"starts_at": starts_at, "ends_at": ends_at})
    assert definition.flight == Flight(*flight)


def test_days_are_days_of_the_calendar_where_clocks_change(tmp_path: Path) -> None:
    definition = one(
        tmp_path,
        timezone="Europe/Berlin",
        flight={"starts_at": "2027-03-27T09:00:00", "ends_at": "+2d"},
    )
    assert definition.flight.ends_at - definition.flight.starts_at == 47 * 3600


def test_amounts_are_exact_to_the_micro(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for written in ("4503599627.370497", "0.000001", "1e2", "100.10"):
        path.write_text(
            f'{{"id": "a", "budget": {written}, "platforms": ["x"], "target_cpa": 1,'
            '"flight": {"starts_at": "now", "ends_at": "+1d"}}\n'
        )
        (definition,) = read(path)
        assert definition.budget_micros == round(float(written) * 1e6)


def test_default_bids_grow_with_currencies_without_cents(tmp_path: Path) -> None:
    dollars, yen = one(tmp_path).guardrails, one(tmp_path, currency="JPY").guardrails
    assert yen.max_bid_micros == 100 * dollars.max_bid_micros
    assert yen.min_bid_micros == 100 * dollars.min_bid_micros


def test_merge_keys_and_anchors_share_what_is_common(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("""\
x-common: &common
  budget: 10
  platforms: [google]
  target_cpa: 2
  flight: {starts_at: now, ends_at: +1d}
campaigns:
  - {id: a, <<: *common}
  - {id: b, <<: *common, budget: 20}
""")
    assert [definition.budget_micros for definition in read(path)] == [10_000_000, 20_000_000]


@pytest.mark.parametrize("written", ["08", "-08", "007", "12e3", "0x1f", "1_000", "9" * 40 + "a"])
def test_a_plain_id_that_json_would_not_read_as_a_number_is_text(
    tmp_path: Path, written: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"""- id: {written}
  budget: 1
  platforms: [google]
  conversion_value: 1
  flight: {{starts_at: now, ends_at: +1d}}
""")
    assert [definition.id for definition in read(path)] == [written]


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    path = tmp_path / "laughs.yaml"
    laughs = ["x-a: &a {l: ha}"]
    laughs += [
        f"x-{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
        for before, name in zip("abcdefghijklmnopq", "bcdefghijklmnopqr", strict=True)
    ]
    path.write_text("\n".join([*laughs, "campaigns:", "  - {id: x, labels: *r}"]))
    reading = read_definitions([path], now=NOW)
    assert any(problem.field == "labels" for problem in reading.problems)


def test_a_bom_blank_lines_and_windows_line_ends_are_no_mistakes(tmp_path: Path) -> None:
    for name in ("campaigns.csv", "campaigns.jsonl", "campaigns.yaml", "campaigns.json"):
        text = (EXAMPLES / name).read_text()
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        assert read(path) == read(EXAMPLES / name)


def test_the_lines_of_rows_are_those_an_editor_shows(tmp_path: Path) -> None:
    header = "id,budget,flight.starts_at,flight.ends_at,target_cpa,platforms,name"
    rest = '10,now,+1d,2,google,"two\nlines"'
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\na,{rest.replace(chr(10), ' ')}\nb,{rest}\n\nc,x{rest}\n")
    reading = read_definitions([path], now=NOW)
    assert [found.line for found in reading.found] == [2]
    assert [(problem.line, problem.field) for problem in reading.problems] == [
        (3, "name"),
        (6, "budget"),
        (6, "name"),
    ]


def test_the_schema_knows_every_field_and_no_other() -> None:
    definitions = schema()["$defs"]
    campaign = definitions["campaign"]["properties"]
    assert set(campaign) == set(FIELDS)
    assert set(campaign["flight"]["properties"]) == set(FLIGHT)
    assert set(campaign["guardrails"]["properties"]) == set(GUARDRAILS)
    assert set(definitions["bounds"]["properties"]) == set(BOUNDS)
    json.dumps(schema())


def test_the_defaults_of_a_file_are_sound(tmp_path: Path) -> None:
    assert list(problems_of(one(tmp_path))) == []
