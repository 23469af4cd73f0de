"""Files of any content: what is written is read back, and rubbish is a problem, never a crash."""

import csv
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.campaigns.files.definition import COLUMNS
from engine.campaigns.files.reader import FORMATS, Reading, read_definitions
from engine.domain.campaign import Definition, Flight, Guardrails, PlatformBounds, Strategy
from engine.domain.feasibility import conflicts_of
from engine.domain.money import from_micros

NOW = 1_795_000_000.0

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
platforms = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
amounts = st.integers(1, 10**15)
texts = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=40)


def linked_or_not(bounds: PlatformBounds) -> st.SearchStrategy[PlatformBounds]:
    """Bounds as they are, or with a link to an entity."""
    links = st.tuples(
        st.from_regex(r"[A-Za-z_-][A-Za-z0-9_-]{0,20}", fullmatch=True),
        st.from_regex(r"[A-Za-z]{1,9}/[0-9]{1,9}", fullmatch=True),
    )
    linked = links.map(
        lambda link: msgspec.structs.replace(bounds, ad_account=link[0], entity=link[1])
    )
    return st.just(bounds) | linked


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    budget = draw(amounts)
    low, high = sorted((draw(amounts), draw(amounts)))
    starts_at = draw(st.integers(946_684_800, 4_000_000_000))
    bounds = st.builds(
        PlatformBounds,
        min_bid_micros=st.none() | st.integers(low, high),
        daily_cap_micros=st.none() | st.integers(1, budget),
    ).flatmap(linked_or_not)
    named = draw(st.dictionaries(platforms, bounds, min_size=1, max_size=4))
    return Definition(
        id=draw(ids),
        name=draw(texts).strip(),
        budget_micros=budget,
        currency=draw(st.sampled_from(["USD", "EUR", "JPY"])),
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
        flight=Flight(starts_at, starts_at + draw(st.integers(1, 100_000_000))),
        strategy=draw(st.sampled_from([Strategy.DYNAMIC, Strategy.EVEN_PACING])),
        conversion_value_micros=draw(amounts),
        target_reach=draw(st.none() | st.integers(1, 2**53)),
        min_spend_micros=draw(st.none() | st.integers(1, budget)),
        account=draw(st.none() | ids),
        platforms=named,
        guardrails=Guardrails(
            min_bid_micros=low,
            max_bid_micros=high,
            max_change=0.25,
            max_daily_change=draw(st.none() | st.sampled_from([0.5, 2.0])),
            hold_seconds=draw(st.sampled_from([0.0, 60.0, 1.5])),
            min_confidence=draw(st.sampled_from([0.0, 0.25])),
            blocked_platforms=tuple(draw(st.lists(st.sampled_from(sorted(named)), unique=True))),
            blocked_hours=draw(st.sampled_from([(), ("mon-fri 22-6",), ("sat,sun", "daily 3-5")])),
        ),
        labels=draw(st.dictionaries(st.sampled_from(["team", "country"]), st.just("no"))),
    )


def is_possible(one: Definition) -> bool:
    return not any(conflict.is_certain for conflict in conflicts_of(one))


class Number(str):
    """Decimals that JSON writes as they are, without quotes."""

    __slots__ = ()


def fields_of(one: Definition) -> dict[str, Any]:
    """Return a definition as a person would write it; amounts as `Number`."""
    bounds = {
        name: {
            key.removesuffix("_micros"): Number(from_micros(micros))
            for key in ("min_bid_micros", "daily_cap_micros")
            if (micros := getattr(given, key)) is not None
        }
        | ({"ad_account": given.ad_account, "entity": given.entity} if given.entity else {})
        for name, given in one.platforms.items()
    }
    fields: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "budget": Number(from_micros(one.budget_micros)),
        "currency": one.currency,
        "timezone": one.timezone,
        "flight": {
            "starts_at": Number(int(one.flight.starts_at)),
            "ends_at": Number(int(one.flight.ends_at)),
        },
        "strategy": one.strategy.value,
        "conversion_value": Number(from_micros(one.conversion_value_micros or 0)),
        "platforms": bounds,
        "guardrails": {
            "min_bid": Number(from_micros(one.guardrails.min_bid_micros)),
            "max_bid": Number(from_micros(one.guardrails.max_bid_micros)),
            "max_change": Number("0.25"),
            "hold_seconds": Number(one.guardrails.hold_seconds),
            "min_confidence": Number(one.guardrails.min_confidence),
            "blocked_platforms": list(one.guardrails.blocked_platforms),
            "blocked_hours": list(one.guardrails.blocked_hours),
        },
        "labels": dict(one.labels),
    }
    if one.guardrails.max_daily_change is not None:
        fields["guardrails"]["max_daily_change"] = Number(one.guardrails.max_daily_change)
    if one.min_spend_micros is not None:
        fields["min_spend"] = Number(from_micros(one.min_spend_micros))
    if one.account is not None:
        fields["account"] = one.account
    if one.target_reach is not None:
        fields["target_reach"] = Number(one.target_reach)
    return fields


def json_of(value: object) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {json_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        between = ", " if all(isinstance(one, str) for one in value) else ",\n"
        return "[" + between.join(map(json_of, value)) + "]"
    return json.dumps(value)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    flat = []
    for row in rows:
        cells = {}
        for name, value in row.items():
            if name == "platforms":
                cells[name] = "|".join(value)
                for platform, bounds in value.items():
                    cells |= {f"platforms.{platform}.{key}": v for key, v in bounds.items()}
            elif isinstance(value, dict):
                lists = {key: "|".join(v) for key, v in value.items() if isinstance(v, list)}
                cells |= {f"{name}.{key}": v for key, v in (value | lists).items()}
            else:
                cells[name] = value
        flat.append(cells)
    names = sorted({name for cells in flat for name in cells} | set(COLUMNS.required))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(flat)


class Dumper(yaml.SafeDumper):
    """Writes a `Number` without quotes."""


Dumper.add_representer(
    Number, lambda dumper, number: dumper.represent_scalar("tag:yaml.org,2002:float", str(number))
)


def read(ending: str, content: bytes) -> Reading:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"a{ending}")
        path.write_bytes(content)
        return read_definitions([path], now=NOW)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        definitions().filter(is_possible), min_size=1, max_size=4, unique_by=lambda one: one.id
    )
)
def test_what_is_written_is_read_back_in_every_format(wanted: list[Definition]) -> None:
    rows = [fields_of(one) for one in wanted]
    with tempfile.TemporaryDirectory() as directory:
        paths = {ending: Path(directory, f"a{ending}") for ending in FORMATS}
        paths[".json"].write_text(json_of({"campaigns": rows}), encoding="utf-8")
        lines = "".join(json_of(row) + "\n" for row in rows)
        paths[".jsonl"].write_text(lines, encoding="utf-8")
        text = yaml.dump(rows, Dumper=Dumper, sort_keys=False, allow_unicode=True)
        paths[".yaml"].write_text(text, encoding="utf-8")
        write_csv(paths[".csv"], rows)
        for ending in (".json", ".jsonl", ".yaml", ".csv"):
            reading = read_definitions([paths[ending]], now=NOW)
            assert [str(problem) for problem in reading.problems] == []
            assert [found.definition for found in reading.found] == wanted


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FORMATS), st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(".csv", b"id,budget\n\x00")
@example(".yaml", b"? [a, b]\n: 1")
@example(".yaml", b"? {a: b}\n: 1\n")
@example(".yaml", b"- {<<: 1}")
@example(".json", b'{"campaigns": [{}')
@example(".json", b'{"a": {"campaigns": [1]}, ')
@example(".json", b'[{"id": 1} {"id": 2}')
def test_rubbish_is_a_problem_in_one_line(ending: str, content: bytes) -> None:
    reading = read(ending, content)
    assert reading.found == []
    assert reading.problems
    for problem in reading.problems:
        assert str(problem).isprintable()


GOOD = json_of(
    {
        "id": "good",
        "budget": Number("10"),
        "flight": {"starts_at": "now", "ends_at": "+1d"},
        "target_cpa": Number("2"),
        "platforms": ["google"],
    }
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD)), st.characters(codec="utf-8"), st.booleans())
def test_one_character_changed_is_never_a_crash(place: int, character: str, insert: bool) -> None:
    broken = GOOD[:place] + character + GOOD[place + (not insert) :]
    for ending, text in ((".json", f"[{broken}]"), (".jsonl", broken), (".yaml", f"- {broken}")):
        reading = read(ending, text.encode())
        assert len(reading.found) <= 1
        assert reading.found or reading.problems


def test_the_decimals_of_a_file_are_not_rounded_on_the_way() -> None:
    text = GOOD.replace("10,", "8999999999.999999,")
    (found,) = read(".json", f"[{text}]".encode()).found
    assert found.definition.budget_micros == int(Decimal("8999999999.999999") * 10**6)
