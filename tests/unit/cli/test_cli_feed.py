"""`engine metrics` and `engine decisions`: samples in, decisions out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.cli.decisions import decision_json, decision_line
from engine.cli.listing import forecast_words
from engine.core.frames import decode_frame
from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.domain.ids import partition_of, series_key
from engine.messaging import records
from engine.messaging.ports import Broker, Message

if TYPE_CHECKING:
    from .conftest import Engine

EXAMPLES = Path(__file__).parents[3] / "examples"


def frames_in(engine: "Engine") -> list[Message]:
    messages: list[Message] = []

    async def read(broker: Broker) -> None:
        async with broker.frames.follow(messages.append) as follower:
            await follower.caught_up()

    engine.with_broker(read)
    return messages


def test_samples_arrive_in_frames_of_their_partition(engine: "Engine") -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    result = engine("metrics", str(EXAMPLES / "metrics.csv"))
    assert result.code == 0
    assert result.err == ""
    messages = frames_in(engine)
    assert result.out == f"published 7 samples in {len(messages)} frames; 0 refused\n"
    clicks: dict[int, int] = {}
    for message in messages:
        frame = decode_frame(message.payload)
        assert frame.partition == message.partition
        assert frame.sequence == 1
        clicks |= dict(
            zip(frame.rows["series"].tolist(), frame.rows["clicks"].tolist(), strict=True)
        )
    assert clicks[series_key("spring-shoes", "google")] == 96
    assert len(clicks) == 7


def test_two_runs_are_two_producers(engine: "Engine") -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    engine("metrics", str(EXAMPLES / "metrics.csv"))
    engine("metrics", str(EXAMPLES / "metrics.csv"))
    producers = {decode_frame(message.payload).producer for message in frames_in(engine)}
    assert len(producers) == 2


def test_many_samples_fill_frames_whose_sequences_rise(engine: "Engine", tmp_path: Path) -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    file = tmp_path / "m.jsonl"
    file.write_text(
        "".join(
            f'{{"campaign":"spring-shoes","platform":"google","at":{1_790_000_000 + i},'
            f'"clicks":{i},"spend":0.5}}\n'
            for i in range(1_200)
        )
    )
    assert engine("metrics", file).out == "published 1,200 samples in 3 frames; 0 refused\n"
    frames = [decode_frame(message.payload) for message in frames_in(engine)]
    assert [(frame.sequence, len(frame.rows)) for frame in frames] == [(1, 512), (2, 512), (3, 176)]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            "sprng-shoes,google,now,1,1",
            "campaign: wanted a published campaign (did you mean spring",
        ),
        ("spring-shoes,bing,now,1,1", "platform: wanted one of the campaign's, google, meta, tik"),
        ("spring-shoes,google,now,-1,1", "clicks: wanted 0 to 2147483647, found -1"),
        ("spring-shoes,google,now,1.5,1", "clicks: wanted a whole number, found '1.5'"),
        ("spring-shoes,google,now,1,-1", "spend: wanted 0 to 214748.3647 EUR, found -1"),
        ("spring-shoes,google,now,1,1e9", "spend: wanted 0 to 214748.3647 EUR"),
        ("spring-shoes,google,soon,1,1", "at: wanted a time such as"),
        ("spring-shoes,google,1790000000000,1,1", "(these look like milliseconds)"),
        ("spring-shoes,google,+1h,1,1", "at: wanted the end of a stretch that is over"),
        ("spring-shoes,google,now,,1", "clicks: wanted this field, which every sample needs"),
        ("spring-shoes,google,now,1", "wanted 5 cells, as in the header, found 4"),
    ],
)
def test_a_bad_sample_is_named_and_the_good_one_published(
    engine: "Engine", tmp_path: Path, row: str, line: str
) -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    file = tmp_path / "m.csv"
    file.write_text(f"campaign,platform,at,clicks,spend\n{row}\nspring-shoes,meta,now,1,1\n")
    result = engine("metrics", file)
    assert result.code == 1
    assert result.out == "published 1 samples in 1 frames; 1 refused\n"
    assert result.err.startswith(f"{file}:2: ")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_a_dry_run_of_metrics_publishes_nothing(engine: "Engine") -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    result = engine("metrics", str(EXAMPLES / "metrics.csv"), "--dry-run", "--json")
    assert json.loads(result.out)["samples"] == 7
    assert frames_in(engine) == []


def test_no_readable_file_of_samples_is_exit_code_2(engine: "Engine", tmp_path: Path) -> None:
    assert engine("metrics", tmp_path / "no.csv").code == 2
    assert engine("metrics").code == 2


def round_of(campaign: str, number: int, previous: int) -> records.Decide:
    return records.Decide(
        partition=partition_of(campaign),
        previous=previous,
        epoch=1,
        owner="w1",
        round=number,
        at_ms=1_790_000_000_000 + 2_000 * number,
        metrics_sequence=0,
        campaigns_revision=1,
        decided=1,
        settled_micros=number * 1_000_000,
        reserved_micros=0,
        platforms=["google"],
        changed=records.Columns(
            campaign=[campaign],
            action=[1],
            binding=[0],
            best=[0],
            pacing_multiplier=[1.25],
            settled_micros=[number * 1_000_000],
            reserved_micros=[500_000],
            series_count=[1],
            platform=[0],
            bid_micros=[420_000],
            cap_micros=[9_000_000],
            cpc_micros=[None],
            cvr=[None],
            roi_micros=[None],
            confidence=[0.5],
        ),
    )


def decide(engine: "Engine", campaign: str, rounds: int) -> None:
    async def append(broker: Broker) -> None:
        sequence = 0
        for number in range(1, rounds + 1):
            record = round_of(campaign, number, sequence)
            sequence = await broker.chain.append(
                record.partition, records.encode(record), expected=sequence
            )

    engine.with_broker(append)


def test_decisions_prints_the_newest_oldest_first(engine: "Engine") -> None:
    decide(engine, "spring-shoes", 30)
    decide(engine, "other", 2)
    found = [json.loads(line) for line in engine("decisions", "--json").out.splitlines()]
    assert len(found) == 20
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    assert (found[-1]["campaign"], found[-1]["round"]) == ("spring-shoes", 30)
    assert found[-1]["action"] == "bid"
    lines = engine("decisions", "--campaign", "other", "-n", "1").out.splitlines()
    assert len(lines) == 1
    assert "other  bid (none)  google* 0.42 (roi -, confidence 0.50)" in lines[0]
    assert engine("decisions", "--campaign", "nobody").err == "no decisions for nobody yet\n"


def test_show_tells_the_newest_decision_and_what_was_spent(engine: "Engine") -> None:
    engine("publish", str(EXAMPLES / "campaigns.csv"))
    decide(engine, "spring-shoes", 3)
    result = engine("show", "spring-shoes")
    assert "3.00 (1.2%) + 0.50 reserved" in result.out
    assert "r3  spring-shoes  bid" in result.out
    assert json.loads(engine("show", "spring-shoes", "--json").out)["decision"]["round"] == 3


def test_show_tells_what_a_decision_went_by_and_marks_thin_data() -> None:
    known = PlatformDecision("google", 1, 2, 301_200.0, 0.0213, 124_800.0, 0.81)
    marked = [
        msgspec.structs.replace(known, condition=condition)
        for condition in (None, Condition.NORMAL, Condition.THIN, Condition.RISING)
    ]
    figures = "CPC 0.3012, CVR 2.13%, ROI a click +0.1248, confidence 0.81"
    assert [forecast_words(one) for one in marked] == [
        figures,
        figures,
        f"{figures}, thin data",
        f"{figures}, CPC rising",
    ]
    decision = Decision(
        "a", 1, 1, 2, 1.79e9, Action.BID, Binding.NONE, "google", 1.0, 0, 0, (marked[2],)
    )
    assert "(roi +0.12, confidence 0.81, thin data)" in decision_line(decision)
    assert decision_json(decision)["platforms"][0]["condition"] == "thin"  # type: ignore[index]


def test_a_decision_is_one_line_even_where_nothing_is_known() -> None:
    nothing = PlatformDecision("meta", 0, 0, None, None, None, 0.0)
    decision = Decision(
        "a", 1, 1, 2, 1.79e9, Action.HOLD, Binding.POOR_ROI, None, 1.0, 0, 0, (nothing,)
    )
    assert decision_line(decision) == (
        "2026-09-21 14:13:20Z  p1 r2  a  hold (poor-roi)  meta - (roi -, confidence 0.00)  "
        "pace 1.00  spent 0.00 + 0.00 reserved"
    )
