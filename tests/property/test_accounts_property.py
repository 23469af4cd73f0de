"""Shares of an account's cap: exact, and never more than the cap, however often they are dealt."""

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.accounts import Committed, deal, redeal

caps = st.integers(0, 2**53)
needs = st.dictionaries(st.integers(0, 63), st.integers(0, 2**53), min_size=1, max_size=12)


@given(caps, needs)
def test_shares_add_up_to_the_cap_and_go_by_need(cap: int, wanted: dict[int, int]) -> None:
    shares = deal(cap, wanted)
    assert sum(shares.values()) == cap
    total = sum(wanted.values())
    for key, need in wanted.items():
        if total:
            assert abs(shares[key] * total - cap * need) <= total
    assert all(share >= 0 for share in shares.values())


@given(
    caps,
    st.lists(
        st.tuples(
            st.one_of(st.none(), caps),  # another cap
            needs,
            st.dictionaries(st.integers(0, 63), st.floats(0, 1)),  # who spends how much of it
            st.dictionaries(st.integers(0, 63), st.floats(0, 1)),  # then, unread
            st.sets(st.integers(0, 63)),  # who reads the new share before the next deal
        ),
        max_size=12,
    ),
)
def test_what_is_gone_by_never_adds_up_to_more_than_the_cap(
    cap: int,
    deals: list[tuple[int | None, dict[int, int], dict[int, float], dict[int, float], set[int]]],
) -> None:
    shares: dict[int, int] = {}  # as written
    read: dict[int, int] = {}  # as owners go by them
    spent: dict[int, int] = {}
    largest = cap
    for another, wanted, spending, early, readers in deals:
        cap = cap if another is None else another
        largest = max(largest, cap)
        given = {
            key: Committed(max(shares[key], read.get(key, 0)), spent.get(key, 0)) for key in shares
        }
        before = sum(one.most_micros for one in given.values())
        shares = redeal(cap, wanted, given)
        gone_by = {key: max(shares[key], read.get(key, 0)) for key in shares}
        assert sum(gone_by.values()) <= max(cap, before)
        assert all(share >= 0 for share in shares.values())
        _spend(spent, read, early)
        for key in readers & shares.keys():
            read[key] = shares[key]
        _spend(spent, read, spending)
        assert sum(spent.values()) <= largest


def _spend(spent: dict[int, int], read: dict[int, int], parts: dict[int, float]) -> None:
    for key, part in parts.items():
        room = read.get(key, 0) - spent.get(key, 0)
        spent[key] = spent.get(key, 0) + max(int(room * part), 0)


def test_what_was_committed_before_a_lower_share_was_read_is_dealt_to_nobody_else() -> None:
    given = {3: Committed(share_micros=80, spent_micros=95), 7: Committed(share_micros=0)}
    assert redeal(100, {3: 1, 7: 1}, given) == {3: 95, 7: 5}


@given(caps, needs, needs)
def test_a_second_deal_after_all_have_read_gives_the_whole_cap(
    cap: int, first: dict[int, int], second: dict[int, int]
) -> None:
    shares = deal(cap, first)
    for _ in range(2):
        given = {key: Committed(share) for key, share in shares.items()}
        shares = redeal(cap, second, given)
    assert sum(shares.values()) == cap
    wanted = deal(cap, second)
    assert {key: share for key, share in shares.items() if share} == {
        key: share for key, share in wanted.items() if share
    }
