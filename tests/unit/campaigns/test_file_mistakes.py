"""Every kind of mistake in a file gives one clear line: file, line, field, wanted, found."""

import gzip
from pathlib import Path

import pytest

from engine.campaigns.files.reader import read_definitions

NOW = 1_795_000_000.0  # 2026-11-18

GOOD = {
    "id": '"spring"',
    "budget": "100.50",
    "flight": '{"starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-31T00:00:00Z"}',
    "conversion_value": "20",
    "platforms": '["google", "meta"]',
}


def element(**changes: str | None) -> str:
    """Return a campaign, one field a line; values are JSON text, None leaves a field out."""
    fields = {**GOOD, **changes}
    lines = [f'  "{name}": {value}' for name, value in fields.items() if value is not None]
    return "{\n" + ",\n".join(lines) + "\n}"


def as_yaml(**changes: str | None) -> str:
    fields = {**GOOD, **changes}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "- " + "\n  ".join(lines) + "\n"


CSV_HEADER = "id,budget,flight.starts_at,flight.ends_at,conversion_value,platforms"
CSV_ROW = "spring,100.50,2026-12-01T00:00:00Z,2026-12-31T00:00:00Z,20,google|meta"


def as_csv(*rows: str, header: str = CSV_HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


# Each: what it is, the file's name, its content, and the one line that says so.
MISTAKES = [
    # the file as a whole
    ("an empty file", "a.yaml", "", ": wanted at least one row, found an empty file"),
    ("only blanks", "a.json", " \n\n", ": wanted at least one row, found an empty file"),
    ("an unknown ending", "a.txt", "x", ": wanted a name that ends in .yaml,"),
    ("no ending", "campaigns", "x", "found no ending"),
    ("binary", "a.csv", b"\x7fELF\0\0\1", ": wanted a text file, found a binary file"),
    ("compressed", "a.json", gzip.compress(b"[]" * 99), "found a binary file"),
    ("UTF-16", "a.csv", "id,budget".encode("utf-16"), ": wanted text in UTF-8, found UTF-16"),
    (
        "Latin-1 in YAML",
        "a.yaml",
        as_yaml(name='"Café"').encode("latin-1"),
        ":6: wanted text in UTF-8, found the byte 0xe9",
    ),
    (
        "Latin-1 in CSV",
        "a.csv",
        as_csv(CSV_ROW, "café" + CSV_ROW[6:]).encode("latin-1"),
        ":3: wanted text in UTF-8, found the byte 0xe9",
    ),
    # JSON
    ("truncated", "a.json", "[" + element()[:-9], ":6: wanted a value, found the end of the file"),
    (
        "a trailing comma in an object",
        "a.json",
        '[\n{"id": "spring",}\n]',
        ":2: wanted a name in double quotes, found '}'",
    ),
    ("a trailing comma in the list", "a.json", f"[{element()},\n]", ":8: wanted a value"),
    ("single quotes", "a.json", "[\n{'id': 'spring'}\n]", ":2: wanted a name in double quotes"),
    (
        "a missing comma",
        "a.json",
        "[" + element() + "\n" + element(id='"b"') + "]",
        ":8: wanted a comma, or ] at the end of the list, found '{'",
    ),
    ("a scalar", "a.json", "42", ":1: wanted a list or {campaigns: [...]}, found '4'"),
    ("a list of numbers", "a.json", "[42]", ":1: wanted an object, found 42"),
    ("an empty list", "a.json", "[]", ":1: wanted at least one of campaigns, found an empty list"),
    (
        "campaigns is no list",
        "a.json",
        '{"campaigns": {"a": 1}}',
        ":1: wanted a list of campaigns, found '{'",
    ),
    (
        "a stranger beside campaigns",
        "a.json",
        '{"campaign": 1,\n"campaigns": [' + element() + "]}",
        ":1: wanted campaigns alone at the top, found 'campaign'",
    ),
    (
        "a key twice",
        "a.json",
        "[" + element(budget='1, "budget": 2') + "]",
        ":1: spring: budget: wanted each name once, found it twice",
    ),
    (
        "JSON Lines called JSON",
        "a.json",
        element() + "\n" + element(id='"b"'),
        ":8: wanted one JSON document (one object a line is JSON Lines",
    ),
    ("nested absurdly deep", "a.json", "[" * 100_000, ":1: wanted JSON of a sane depth"),
    ("a control character", "a.json", '[{"id": "a\tb"}]', ":1: wanted text without line breaks"),
    (
        "JSON Lines over two lines",
        "a.jsonl",
        '{"id":\n',
        ":1: wanted a value, found the end of the line",
    ),
    ("two objects on a line", "a.jsonl", "{} {}\n", ":1: wanted nothing behind the object"),
    ("a list on a line", "a.jsonl", "[]\n", ":1: wanted an object on each line, found a list"),
    # YAML
    (
        "a tab in YAML",
        "a.yaml",
        as_yaml().replace("  budget", "\tbudget"),
        ":2: wanted spaces for indentation, found a tab",
    ),
    ("a tag", "a.yaml", as_yaml(name="!!python/name:os.system x"), "plain data, without tags"),
    ("a YAML key twice", "a.yaml", as_yaml(name="x\n  name: y"), ":7: spring: name: wanted each"),
    (
        "an unknown alias",
        "a.yaml",
        as_yaml(name="*nobody"),
        ":6: wanted YAML, found undefined alias",
    ),
    ("an alias within itself", "a.yaml", as_yaml(labels="&a {b: *a}"), "an alias within itself"),
    ("an unclosed bracket", "a.yaml", as_yaml(platforms="[google"), "wanted YAML, found"),
    ("a YAML scalar", "a.yaml", "hello", ":1: wanted a list of campaigns, found 'hello'"),
    ("only a comment", "a.yaml", "# nothing", "found an empty document"),
    ("blocks absurdly deep", "a.yaml", "- " * 100_000, "wanted YAML of a sane depth"),
    ("brackets absurdly deep", "a.yaml", "[" * 100_000, "wanted YAML of a sane depth"),
    # CSV
    (
        "a missing column",
        "a.csv",
        as_csv("spring,1", header="id,budget"),
        ":1: flight.starts_at: wanted this column in the header",
    ),
    (
        "an unknown column",
        "a.csv",
        as_csv(CSV_ROW, header=CSV_HEADER.replace("budget", "budgt")),
        ":1: wanted a known column (did you mean budget?), found 'budgt'",
    ),
    (
        "a column twice",
        "a.csv",
        as_csv(CSV_ROW + ",b", header=CSV_HEADER + ",id"),
        ":1: id: wanted each column once, found it twice",
    ),
    ("semicolons", "a.csv", as_csv(header=CSV_HEADER.replace(",", ";")), ":1: wanted columns sep"),
    ("a cell too many", "a.csv", as_csv(CSV_ROW + ",x"), ":2: spring: wanted 6 cells"),
    ("a cell too few", "a.csv", as_csv("spring,100"), ":2: spring: wanted 6 cells, as in the"),
    ("an open quote", "a.csv", as_csv('"spring,1'), ":2: wanted a closing quote, found the end"),
    ("text behind a quote", "a.csv", as_csv('"a"b' + CSV_ROW[6:]), ":2: wanted a comma behind"),
    ("a platform twice", "a.csv", as_csv(CSV_ROW + "|meta"), ":2: spring: platforms: wanted each"),
    ("an empty platform", "a.csv", as_csv(CSV_ROW + "|"), ":2: spring: platforms: wanted a plat"),
    (
        "bounds of a platform the row lacks",
        "a.csv",
        as_csv(CSV_ROW + ",2", header=CSV_HEADER + ",platforms.tiktok.max_bid"),
        ":2: spring: platforms.tiktok: wanted no bounds for a platform the row does not have",
    ),
    (
        "a newline in an id",
        "a.csv",
        as_csv('"spr\ning"' + CSV_ROW[6:]),
        r":2: id: wanted 1 to 64 of A-Z a-z 0-9 _ -, found 'spr\ning'",
    ),
    # links
    (
        "an entity of no ad account",
        "a.csv",
        as_csv(CSV_ROW + ",adGroups/1", header=CSV_HEADER + ",platforms.google.entity"),
        "platforms.google.ad_account: wanted this beside entity: both link it",
    ),
    (
        "an ad account with a dot",
        "a.csv",
        as_csv(
            CSV_ROW + ",a.b,e",
            header=CSV_HEADER + ",platforms.google.ad_account,platforms.google.entity",
        ),
        "platforms.google.ad_account: wanted an ad account as its platform names it",
    ),
    (
        "an ad account without quotes",
        "a.json",
        element(platforms='{"google": {"ad_account": 12, "entity": "e"}}'),
        'platforms.google.ad_account: wanted text (in quotes: "12"), found 12',
    ),
    # fields
    ("an unknown field", "a.json", element(budgett="1"), ":7: spring: budgett: wanted a known fie"),
    ("micros", "a.json", element(target_cpa_micros="1"), "(did you mean target_cpa?)"),
    ("no id", "a.json", element(id=None), ":1: id: wanted this field, which every campaign needs"),
    ("a null id", "a.json", element(id="null"), ":2: id: wanted this field"),
    ("an id with a space", "a.json", element(id='"a b"'), ":2: id: wanted 1 to 64 of A-Z"),
    ("an id of emoji", "a.json", element(id='"🚀"'), ":2: id: wanted 1 to 64 of A-Z"),
    ("a huge id", "a.json", element(id='"' + "x" * 5000 + '"'), "… (5000 characters)"),
    ("a number as id", "a.json", element(id="7"), ':2: id: wanted text (in quotes: "7"), found 7'),
    ("NaN", "a.json", element(budget="NaN"), ":3: spring: budget: wanted an amount such as 12.50"),
    (".inf", "a.yaml", as_yaml(budget=".inf"), ":2: spring: budget: wanted an amount such as"),
    ("1e400", "a.json", element(budget="1e400"), ":3: spring: budget: wanted an amount up to"),
    ("1e999999999", "a.json", element(budget="1e999999999"), "budget: wanted an amount up to"),
    ("5,000 digits", "a.json", element(budget="9" * 5000), "budget: wanted an amount up to"),
    ("seven decimals", "a.json", element(budget="1.2345678"), "wanted at most six decimals"),
    ("a negative budget", "a.json", element(budget="-5"), "wanted more than 0 and up to"),
    ("no budget left", "a.json", element(budget="0"), ":3: spring: budget: wanted more than 0"),
    ("a quoted number", "a.json", element(budget='"100"'), "(without quotes), found '100'"),
    ("true money", "a.json", element(budget="true"), "an amount such as 12.50, found true"),
    ("a list of money", "a.json", element(budget="[1]"), "an amount such as 12.50, found a list"),
    ("thousands", "a.yaml", as_yaml(budget="1,000.50"), "no thousands separators), found '1,000.5"),
    ("a decimal comma", "a.csv", as_csv(CSV_ROW.replace("100.50", '"100,50"')), "a point before"),
    ("a currency sign", "a.csv", as_csv(CSV_ROW.replace("100.50", "$100")), "without a currency"),
    ("percent", "a.yaml", as_yaml(target_roas="400%"), "target_roas: wanted a number such as 0.5"),
    ("underscores", "a.yaml", as_yaml(budget="1_000"), "no thousands separators), found '1_000'"),
    ("a bad currency", "a.json", element(currency='"euro"'), "an ISO 4217 code of three capitals"),
    ("a bad zone", "a.json", element(timezone='"Europe/Berln"'), "(did you mean Europe/Berlin?)"),
    ("a zone's directory", "a.json", element(timezone='"America"'), "wanted an IANA time zone"),
    ("a path as zone", "a.json", element(timezone='"../etc/passwd"'), "wanted an IANA time zone"),
    ("a bad strategy", "a.json", element(strategy='"target_cpa"'), "(did you mean target-cpa?)"),
    ("no target", "a.json", element(strategy='"target-cpa"'), "an amount, for strategy target-cpa"),
    ("no value", "a.json", element(conversion_value=None), "wanted this or target_cpa"),
    (
        "half a conversion",
        "a.json",
        element(target_reach="1.5"),
        "target_reach: wanted a whole num",
    ),
    ("no flight", "a.json", element(flight=None), ":1: spring: flight: wanted this field"),
    (
        "a flight of text",
        "a.json",
        element(flight='"soon"'),
        ":4: spring: flight: wanted a mapping",
    ),
    (
        "swapped dates",
        "a.json",
        element(flight='{"starts_at": "2026-12-31", "ends_at": "2026-12-01"}'),
        ":4: spring: flight.ends_at: wanted a time after starts_at (2026-12-31T00:00:00+00:00)",
    ),
    (
        "the 31st of November",
        "a.json",
        element(flight='{"starts_at": "2026-11-31", "ends_at": "2026-12-01"}'),
        "flight.starts_at: wanted a time such as 2026-12-01T09:00:00Z",
    ),
    (
        "milliseconds",
        "a.json",
        element(flight='{"starts_at": "now", "ends_at": 1798000000000}'),
        "(these look like milliseconds), found 1798000000000",
    ),
    ("no platforms", "a.json", element(platforms="[]"), "platforms: wanted 1 to 16 platforms"),
    ("a platform in capitals", "a.json", element(platforms='["Google"]'), "in lower case"),
    ("platforms as text", "a.json", element(platforms='"google"'), "wanted a list of platforms"),
    ("a numeric platform", "a.json", element(platforms="[1]"), "names of platforms, found 1"),
    ("a list's platform twice", "a.json", element(platforms='["a","a"]'), "each platform once"),
    (
        "bounds swapped",
        "a.json",
        element(platforms='{"google": {"min_bid": 2, "max_bid": 1}}'),
        ":6: spring: platforms.google.max_bid: wanted at least min_bid (2.00), found 1",
    ),
    (
        "an unknown bound",
        "a.json",
        element(platforms='{"google": {"max_bidd": 1}}'),
        "platforms.google.max_bidd: wanted a known field (did you mean max_bid?)",
    ),
    (
        "a change of 200 %",
        "a.json",
        element(guardrails='{"max_change": 2}'),
        "guardrails.max_change: wanted a fraction above 0 and up to 1 (0.5 is half), found 2",
    ),
    (
        "a cap above the budget",
        "a.json",
        element(guardrails='{"daily_cap": 1000}'),
        "guardrails.daily_cap: wanted at most the budget (100.50), found 1000",
    ),
    ("a list of labels", "a.json", element(labels='["a"]'), "labels: wanted a mapping of names"),
    (
        "a label of numbers",
        "a.json",
        element(labels='{"n": 1}'),
        "labels.n: wanted text (in quotes",
    ),
    ("a bell in a name", "a.json", element(name='"a\\u0007"'), "name: wanted up to 200 printable"),
]


@pytest.mark.parametrize(
    ("file", "content", "line"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_gives_one_clear_line(
    tmp_path: Path, file: str, content: str | bytes, line: str
) -> None:
    path = tmp_path / file
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    reading = read_definitions([path], now=NOW)

    assert len(reading.problems) == 1, [str(problem) for problem in reading.problems]
    said = str(reading.problems[0])
    assert said.startswith(str(path))
    assert line in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 330


def test_there_are_more_than_forty_kinds_of_mistakes() -> None:
    assert len({case[0] for case in MISTAKES}) == len(MISTAKES) > 80


def test_the_mistakes_are_all_made_on_a_campaign_that_would_pass(tmp_path: Path) -> None:
    for name, content in (("a.json", element()), ("a.yaml", as_yaml()), ("a.csv", as_csv(CSV_ROW))):
        path = tmp_path / name
        path.write_text(content)
        reading = read_definitions([path], now=NOW)
        assert [found.definition.id for found in reading.found] == ["spring"], reading.problems


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    reading = read_definitions([tmp_path / "no.yaml", tmp_path], now=NOW)
    assert [problem.found for problem in reading.problems] == ["no such file", "a directory"]
    assert reading.rows == 0


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".yaml", ".csv"])
def test_good_rows_around_a_bad_one_are_kept(tmp_path: Path, ending: str) -> None:
    first, last = element(id='"first"'), element(id='"last"')
    flat = [text.replace("\n", "") for text in (first, last)]
    content = {
        ".json": f'[\n{first},\n{{"id": "x" "budget"}},\n{last}\n]',
        ".jsonl": f'{flat[0]}\n{{"id": "x" "budget"}}\n{flat[1]}\n',
        ".yaml": as_yaml(id="first") + "- id: x\n\tbudget: 1\n" + as_yaml(id="last"),
        ".csv": as_csv("first" + CSV_ROW[6:], '"x' + CSV_ROW[6:], "last" + CSV_ROW[6:]),
    }[ending]
    path = tmp_path / f"a{ending}"
    path.write_text(content)

    reading = read_definitions([path], now=NOW)

    assert [found.definition.id for found in reading.found] == ["first", "last"]
    assert len(reading.problems) == reading.refused == 1


def test_all_problems_of_a_row_are_told_in_the_order_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(element(budget="-1", target_roas="0", currency='"x"', name="7"))
    reading = read_definitions([path], now=NOW)
    assert [(one.line, one.field) for one in reading.problems] == [
        (3, "budget"),
        (7, "target_roas"),
        (8, "currency"),
        (9, "name"),
    ]
    assert reading.refused == 1


def test_an_id_given_twice_is_refused_at_both_places(tmp_path: Path) -> None:
    one, other = tmp_path / "a.csv", tmp_path / "b.json"
    one.write_text(as_csv(CSV_ROW, "other" + CSV_ROW[6:]))
    other.write_text(element())
    reading = read_definitions([one, other], now=NOW)
    assert [found.definition.id for found in reading.found] == ["other"]
    assert reading.refused == 2
    assert str(reading.problems[0]) == (
        f"{other}:2: spring: id: wanted each id once, found it here and at {one}:2 "
        "(neither is published)"
    )
