"""The peers answer as the core does: else their times would compare different work.

Those that need more than numpy are held to it by `make bench-check` and before every race.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.peers import core_sweep, numpy_sums, numpy_windows, plain_python
from bench.peers.race import DisagreementError, Entrant, Timing, agree, compare, fill, race
from bench.peers.work import POOL, Work

CORE = Entrant("core", core_sweep.Peer, slot_bytes=1200)
SUMS = Entrant("numpy, sums", numpy_sums.Peer, slot_bytes=1200)
PEERS = (
    SUMS,
    Entrant("numpy, windows", numpy_windows.Peer, slot_bytes=2100),
    Entrant("Python", plain_python.Peer, slot_bytes=15_000, weighs=False),
)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_answers_as_the_core_does(peer: Entrant) -> None:
    agree(peer, CORE)


def test_a_peer_that_does_not_weigh_by_clicks_is_found_out() -> None:
    unweighted = Entrant("Python", plain_python.Peer, slot_bytes=15_000)
    with pytest.raises(DisagreementError, match="Python: score_micros of campaign 0 must be"):
        agree(unweighted, CORE)


class _Cautious(numpy_sums.Peer):
    def decide(self, tick: int) -> NDArray[np.void]:
        answers = super().decide(tick)
        answers["bid_micros"] -= answers["bid_micros"] // 1000
        return answers


def test_a_bid_that_is_a_thousandth_off_is_found_out() -> None:
    with pytest.raises(DisagreementError, match="bid_micros"):
        agree(Entrant("cautious", _Cautious, slot_bytes=1200), CORE)


def test_the_answers_that_are_compared_bid_or_not_and_hold_back_or_not() -> None:
    work = Work(campaigns=100)
    core = core_sweep.Peer(work, work.terms())
    fill(core, work, 200)
    answers = core.decide(work.tick(199))
    for share in (
        np.mean(answers["bid_micros"] > 0),
        np.mean(answers["pacing"] < 1),
        np.mean(answers["best"] == 0),
    ):
        assert 0.05 < share < 0.95


@pytest.mark.parametrize("peer", PEERS[:2], ids=lambda peer: peer.name)
def test_windows_filled_by_repeating_the_pool_are_the_cores(peer: Entrant) -> None:
    work = Work(campaigns=3 * POOL // 4)
    peers = [one.make(work, work.terms()) for one in (peer, CORE)]
    for one in peers:
        fill(one, work, work.begins)
    rows = work.shuffled(work.begins)
    for one in peers:
        one.ingest(rows)
    found, wanted = (one.decide(work.tick(work.begins)) for one in peers)
    compare(peer.name, found, wanted)


def test_the_same_seed_gives_the_same_work() -> None:
    rows = [Work(campaigns=50, seed=seed).shuffled(70).tobytes() for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


class _Punctual(numpy_sums.Peer):
    took_s = 0.25  # as a peer that times itself says


def test_a_peer_given_fewer_campaigns_is_scaled_to_all() -> None:
    lesser = Entrant("fewer", _Punctual, slot_bytes=1200, most_campaigns=100)
    (found,) = race([lesser], CORE, campaigns=1000)
    assert isinstance(found, Timing)
    assert (found.campaigns, found.ran_campaigns) == (1000, 100)
    assert (found.ingest_s, found.decide_s) == (2.5, 2.5)
    assert found.ratio == 5.0 / (found.core_ingest_s + found.core_decide_s)


def test_a_peer_without_room_is_left_out_with_a_line() -> None:
    large = Entrant("large", numpy_sums.Peer, slot_bytes=10**12)
    (line,) = race([large], CORE, campaigns=1000)
    assert isinstance(line, str)
    assert line.startswith("large with 1,000 campaigns needs 4000000.")
