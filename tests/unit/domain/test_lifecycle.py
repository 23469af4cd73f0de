"""The lifecycle: every pair of states, and what can be reached from where."""

from itertools import product

import pytest

from engine.domain.lifecycle import LEGAL, State, transition
from engine.errors import TransitionError

# Written out by hand, apart from the code: a way that is added by mistake is found here.
WAYS = {
    "draft": "scheduled active stopped",
    "scheduled": "active paused completed stopped",
    "active": "paused exhausted completed stopped",
    "paused": "scheduled active completed stopped",
    "exhausted": "active paused completed stopped",
    "completed": "",
    "stopped": "",
}
PAIRS = list(product(State, State))


@pytest.mark.parametrize(("current", "wanted"), PAIRS, ids=lambda state: state.value)
def test_only_the_legal_transitions_are_allowed(current: State, wanted: State) -> None:
    if wanted.value in WAYS[current.value].split():
        assert transition("a", current, wanted) is wanted
    else:
        with pytest.raises(TransitionError) as refused:
            transition("a", current, wanted)
        assert refused.value.legal == tuple(sorted(WAYS[current.value].split()))


def test_there_are_49_pairs_of_which_19_are_legal() -> None:
    assert len(PAIRS) == 49
    assert sum(len(ways) for ways in LEGAL.values()) == 19


def test_only_completed_and_stopped_are_final() -> None:
    assert {state for state in State if state.is_final} == {State.COMPLETED, State.STOPPED}


def test_no_state_leads_to_itself_and_none_leads_back_to_draft() -> None:
    for state, ways in LEGAL.items():
        assert state not in ways
        assert State.DRAFT not in ways


def test_a_refusal_says_where_from_where_to_and_what_would_be_legal() -> None:
    with pytest.raises(TransitionError, match="spring: draft cannot become paused") as refused:
        transition("spring", State.DRAFT, State.PAUSED)
    assert "active, scheduled, stopped" in str(refused.value)
    with pytest.raises(TransitionError, match="the state is final"):
        transition("spring", State.STOPPED, State.ACTIVE)
