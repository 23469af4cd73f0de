"""Who counts as alive, and when silence means something."""

import math

import pytest

from engine.fleet.membership import DEAF_S, SUSPICION_S, Membership


def heard(
    fleet: Membership,
    worker: str,
    *,
    now: float,
    partitions: tuple[int, ...] = (),
    age: float = 60.0,
    is_leaving: bool = False,
    connection: str = "",
) -> bool:
    return fleet.heard(
        worker, partitions, age=age, is_leaving=is_leaving, now=now, connection=connection
    )


def test_a_worker_that_has_just_started_judges_nobody() -> None:
    fleet = Membership("a", now=100.0)
    assert not fleet.may_judge(100.0 + SUSPICION_S - 0.01)
    assert fleet.may_judge(100.0 + SUSPICION_S)


def test_silence_of_a_suspicion_time_is_death() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, partitions=(3,))
    assert fleet.alive(1.0 + SUSPICION_S - 0.01) == {"a", "b"}
    assert fleet.alive(1.0 + SUSPICION_S) == {"a"}
    assert fleet.held_by_others(1.0 + SUSPICION_S) == {}


def test_whoever_was_deaf_does_not_blame_the_others() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0)
    fleet.deaf_until(50.0)
    assert not fleet.may_judge(50.1)
    assert fleet.alive(50.1) == {"a", "b"}
    assert fleet.alive(50.0 + SUSPICION_S) == {"a"}


def test_a_leaving_worker_holds_what_it_says_and_gets_nothing_more() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, partitions=(3, 4), is_leaving=True)
    assert fleet.alive(1.0) == {"a"}
    assert fleet.held_by_others(1.0) == {3: "b", 4: "b"}


def test_a_newborn_worker_is_alive_but_takes_nothing_yet() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, age=0.1)
    assert fleet.alive(1.0) == {"a", "b"}
    assert fleet.settled(1.0) == {"a"}
    heard(fleet, "b", now=1.5, age=SUSPICION_S)
    assert fleet.settled(1.5) == {"a", "b"}


def test_a_workers_own_heartbeat_is_not_news() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "a", now=1.0, partitions=(1,))
    assert fleet.held_by_others(1.0) == {}


def test_the_next_silence_is_that_of_whoever_was_heard_first_and_is_not_silent_yet() -> None:
    fleet = Membership("a", now=0.0)
    assert fleet.silence_in(1.0) == math.inf
    fleet.heard("b", (), age=9.0, is_leaving=False, now=1.0)
    fleet.heard("c", (), age=9.0, is_leaving=False, now=1.2)
    assert fleet.silence_in(1.3) == pytest.approx(0.3)  # of b
    assert fleet.silence_in(1.7) == pytest.approx(0.1)  # of c: b is silent already
    assert fleet.silence_in(2.0) == math.inf


def test_whoever_lost_its_connection_is_dead_at_once() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, partitions=(3,), connection="server/7")
    assert fleet.lost("server/7") == "b"
    assert fleet.alive(1.0) == {"a"}
    assert fleet.held_by_others(1.0) == {}


def test_the_loss_of_a_connection_that_was_left_before_is_nobodys_death() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, partitions=(3,), connection="paused/7")
    heard(fleet, "b", now=1.1, partitions=(3,), connection="other/9")
    assert fleet.lost("paused/7") == ""
    assert fleet.held_by_others(1.2) == {3: "b"}


def test_a_heartbeat_that_was_on_its_way_raises_nobody_from_the_dead() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, connection="server/7")
    fleet.lost("server/7")
    assert not heard(fleet, "b", now=1.01, connection="server/7")
    assert fleet.alive(1.01) == {"a"}


def test_a_worker_that_is_heard_over_another_connection_is_back() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, partitions=(3,), connection="server/7")
    fleet.lost("server/7")
    assert heard(fleet, "b", now=1.05, partitions=(3,), connection="server/8")
    assert fleet.held_by_others(1.05) == {3: "b"}


def test_only_what_may_move_partitions_is_news() -> None:
    fleet = Membership("a", now=0.0)
    assert heard(fleet, "b", now=1.0, partitions=(3, 4))
    assert not heard(fleet, "b", now=1.1, partitions=(3, 4))
    assert heard(fleet, "b", now=1.2, partitions=(4,))
    assert heard(fleet, "b", now=1.3, partitions=(4,), is_leaving=True)


def test_a_worker_whose_clock_went_back_does_not_count_as_newborn() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "b", now=1.0, age=60.0)
    heard(fleet, "b", now=1.0 + SUSPICION_S, age=-600.0)
    assert fleet.settled(1.0 + SUSPICION_S) == {"a", "b"}


def test_whoever_does_not_hear_itself_is_deaf() -> None:
    fleet = Membership("a", now=0.0)
    heard(fleet, "a", now=1.0)
    assert not fleet.is_deaf(1.0 + DEAF_S)
    heard(fleet, "b", now=1.4)
    assert fleet.is_deaf(1.0 + DEAF_S + 0.01)
    assert DEAF_S < SUSPICION_S  # it is known before anybody else's silence counts
