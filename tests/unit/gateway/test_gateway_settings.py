"""The file of ad accounts: what is understood, and what is said of what is not."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.gateway.settings import AccountSettings, accounts_of, go_live
from engine.wiring.settings import read_file

ONE = {"platform": "google", "ad_account": "123"}


def test_an_ad_account_is_in_dry_run_until_somebody_says_otherwise() -> None:
    found = accounts_of({"accounts": [ONE, ONE | {"platform": "meta"}]}, file="g.yaml")
    assert [one.live for one in found.accounts] == [False, False]
    assert [one.live for one in go_live(found, ["meta/123"]).accounts] == [False, True]
    live = accounts_of({"accounts": [ONE | {"live": True}]}, file="g.yaml")
    assert go_live(live, []).accounts[0].live


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "g.yaml: object missing required field `accounts`"),
        ({"accounts": []}, "g.yaml: accounts: at least one ad account, found none"),
        ({"accounts": [ONE, ONE]}, "g.yaml: accounts[1]: each ad account once, found '123' twice"),
        (
            {"accounts": [ONE | {"ad_account": 123}]},
            "g.yaml: accounts[0].ad_account: expected `str`, got `int`",
        ),
        ({"accounts": [ONE | {"lively": True}]}, "accounts[0]: object contains unknown field"),
        (
            {"accounts": [ONE | {"reserve": 2}]},
            "g.yaml: accounts[0].reserve: expected `float` <= 1.0",
        ),
        ({"accounts": [ONE | {"ad_account": "a b"}]}, "accounts[0].ad_account: 1 to 64 of"),
        ({"accounts": [ONE | {"platform": "Google"}]}, "accounts[0].platform: a name such as"),
        ({"accounts": [ONE], "gate": {"hold": 1}}, "g.yaml: gate: object contains unknown field"),
        ({"accounts": [ONE], "gate": {"step": 1.0}}, "gate: object contains unknown field `step`"),
        (
            {"accounts": [ONE], "gate": {"largest_rise": -0.5}},
            "gate.largest_rise: expected",
        ),
        (
            {"accounts": [ONE], "gate": {"largest_fall": 3}},
            "gate.largest_fall: expected",
        ),
        ({"accounts": [ONE], "breaker": {"calls": 0}}, "breaker.calls: expected `int` >= 1"),
        ({"accounts": [ONE], "breaker": {"share": 7}}, "breaker.share: expected `float` <= 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        accounts_of(content, file="g.yaml")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_ad_account_to_go_live_is_one_of_the_file() -> None:
    found = accounts_of({"accounts": [ONE, ONE | {"platform": "meta"}]}, file="g.yaml")
    with pytest.raises(ConfigError, match=r"--live: one ad account of the file \(google/123, meta"):
        go_live(found, ["124"])
    with pytest.raises(ConfigError, match="found '123'"):
        go_live(found, ["123"])  # of two platforms: which?


def test_credentials_are_beside_the_file_that_names_them_and_groups_stay_together() -> None:
    content = {"accounts": [ONE | {"credentials": "google.yaml", "group": "acme"}]}
    (one,) = accounts_of(content, file="etc/g.yaml").accounts
    assert one.credentials == "etc/google.yaml"
    other = AccountSettings(platform="meta", ad_account="7", group="acme")
    assert one.key == other.key


def test_the_example_is_understood_and_changes_nothing_for_real() -> None:
    file = Path(__file__).parents[3] / "examples" / "gateway.yaml"
    found = accounts_of(read_file(file), file=str(file))
    assert len(found.accounts) == 3
    assert not any(one.live for one in found.accounts)
