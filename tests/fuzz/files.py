"""Files of people: each row is read or refused in one printable line, and what is read, works."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine.campaigns.files.reader import Found, read_definitions
from engine.campaigns.samples import FoundSample, read_samples
from engine.core.book import Book
from engine.core.frames import rows_from_samples, spend_micros
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_entry, encode_campaign
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State as Life
from engine.domain.money import unit_micros
from engine.messaging.ports import Message
from engine.worker.state import State
from fuzz.mutate import damaged_text
from fuzz.promises import Target, holds, json_tree, kind
from support.definitions import START, definition

__all__ = ["TARGETS"]

AT_MS = int(START * 1000)
EXAMPLES = Path(__file__).parents[2] / "examples"


def _file_check(suffix: str, read: Callable[[Path], str]) -> Callable[[bytes], str]:
    def check(payload: bytes) -> str:
        path = Path(_FOLDER.name, f"a{suffix}")
        path.write_bytes(payload)
        return read(path)

    return check


_FOLDER = tempfile.TemporaryDirectory(prefix="engine-fuzz-")


def _definitions(path: Path) -> str:
    reading = read_definitions([path], now=START)
    holds(bool(reading.found or reading.problems or reading.accounts), "neither read nor refused")
    said = set()
    for problem in (*reading.problems, *reading.warnings):
        holds(str(problem).isprintable(), "a problem in unprintable words")
        said.add(f"{problem.field.partition('.')[0]} {kind(problem.wanted)}")
    for found in reading.found:
        _check_definition(found)
    return "; ".join(sorted(said)[:3]) or "read"


def _check_definition(found: Found) -> None:
    """Require that what a file's reader takes for a campaign is one to the core."""
    wanted = Campaign(definition=found.definition, state=Life.ACTIVE, changed_at=START)
    payload = encode_campaign(wanted)
    holds(decode_entry("fuzz", payload) == wanted, "a definition does not survive its encoding")
    number, letters = partition_of(found.definition.id), list[str]()
    state = State(number, Book(), bury=lambda _, reason, __: letters.append(reason))
    state.open([Message(number, 1, payload)])
    holds(not letters, f"a file's campaign is none to the core: {letters}")
    state.decide(AT_MS + 2000)


_KNOWN = {
    one.id: one
    for one in (
        definition(),
        definition("spring-jackets", currency="JPY", timezone="Asia/Tokyo"),
    )
}


def _samples(path: Path) -> str:
    said = set()
    for found in read_samples([path], _KNOWN, now=START):
        if not isinstance(found, FoundSample):
            for problem in found:
                holds(str(problem).isprintable(), "a problem in unprintable words")
                said.add(f"{problem.field} {kind(problem.wanted)}")
            continue
        unit = unit_micros(found.currency)
        rows = rows_from_samples([found.sample], unit_micros=unit)
        spent = int(spend_micros(rows, unit)[0])
        holds(spent == found.sample.spend_micros, "a sample's spend changes on its way")
        said.add("read")
    holds(bool(said), "neither read nor refused")
    return "; ".join(sorted(said)[:3])


def _examples(suffix: str) -> list[bytes]:
    with_accounts = {
        ".yaml": b"accounts:\n  - {id: acme, daily_cap: 50.5}\ncampaigns:\n  - id: a\n"
        b"    budget: 5\n    account: acme\n    target_cpa: 2\n"
        b"    flight: {starts_at: now, ends_at: +1d}\n"
        b"    platforms: [google]\n",
        ".json": b'{"accounts": [{"id": "acme", "total_cap": 9}], "campaigns": [{"id": "a", '
        b'"budget": 1.25, "account": "acme", '
        b'"flight": {"starts_at": "2026-01-01", "ends_at": "+3d"}, '
        b'"target_roas": 3, "platforms": ["x"]}]}',
    }
    more = [with_accounts[suffix]] if suffix in with_accounts else []
    return [(EXAMPLES / f"campaigns{suffix}").read_bytes(), *more]


_REPORTS = [
    {"campaign": "spring-shoes", "platform": "google", "at": "now", "clicks": 3, "spend": 1.25},
    {"campaign": "spring-jackets", "platform": "meta", "at": 1_700_000_000, "clicks": 0, "spend": 5,
     "impressions": 100, "conversions": 0.5},
]  # fmt: skip
_LINES = b"\n".join(json.dumps(one).encode() for one in _REPORTS)


def _csv_of_samples() -> bytes:
    text = (EXAMPLES / "metrics.csv").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if "summer" not in line).encode()


TARGETS = (
    *(
        Target(
            f"campaigns{suffix}",
            _examples(suffix),
            json_tree if suffix == ".json" else damaged_text,
            _file_check(suffix, _definitions),
        )
        for suffix in (".yaml", ".json", ".jsonl", ".csv")
    ),
    Target(
        "samples.json",
        [json.dumps(_REPORTS).encode(), json.dumps({"samples": _REPORTS}).encode()],
        json_tree,
        _file_check(".json", _samples),
    ),
    Target("samples.jsonl", [_LINES], damaged_text, _file_check(".jsonl", _samples)),
    Target("samples.csv", [_csv_of_samples()], damaged_text, _file_check(".csv", _samples)),
)
