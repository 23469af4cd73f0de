"""Credentials: where they come from, what is refused, and that nobody is shown them."""

import copy
import json
import pickle
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import structlog

from engine.errors import PlatformCredentialsError
from engine.platforms.credentials import Credentials, Secret, read_credentials

YAML = """
google:
  client_id: a-client
  refresh_token: s3cret
  login_customer_id: 5556667777
  ad_accounts:
    "1234567890": {refresh_token: 0ther}
    2234567890: {login_customer_id: "1112223333"}
meta:
  token: m3ta
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "platforms.yaml"
    path.write_text(YAML, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_secret_is_shown_by_nothing_but_reveal() -> None:
    secret = Secret("s3cret")
    shown = f"{secret} {secret!r} {secret:>10} {[secret]} {secret!s}"
    assert "s3cret" not in shown
    assert secret.reveal() == "s3cret"
    assert secret == Secret("s3cret") != Secret("other")
    assert not Secret("")


@pytest.mark.parametrize(
    "stored",
    [pickle.dumps, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode, json.dumps],
)
def test_a_secret_cannot_be_stored_or_sent(stored: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        stored({"token": Secret("s3cret")})


def test_credentials_show_names_and_their_source_only(file: Path) -> None:
    credentials = read_credentials("google", file=file)
    shown = f"{credentials} {credentials!r} {vars(credentials)}"
    assert "refresh_token" in repr(credentials)
    assert str(file) in repr(credentials)
    assert "s3cret" not in shown
    assert "5556667777" not in shown


def test_a_log_line_and_a_traceback_do_not_show_them(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials = read_credentials("google", file=file)
    structlog.get_logger().warning("refused", credentials=credentials, token=credentials.get("x"))
    try:
        credentials.require("client_secret")
    except PlatformCredentialsError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(shown.format())
    assert "client_secret" in text
    assert "s3cret" not in text + capsys.readouterr().out


def test_each_platform_has_its_own(file: Path) -> None:
    assert list(read_credentials("meta", file=file)) == ["token"]
    assert list(read_credentials("tiktok", file=file)) == []


def test_an_ad_accounts_own_fields_go_before_the_platforms(file: Path) -> None:
    def of(ad_account: str) -> tuple[str, str]:
        found = read_credentials("google", file=file, ad_account=ad_account)
        return found.text("refresh_token"), found.text("login_customer_id")

    assert of("") == ("s3cret", "5556667777")
    assert of("1234567890") == ("0ther", "5556667777")
    assert of("2234567890") == ("s3cret", "1112223333")
    assert of("9999999999") == ("s3cret", "5556667777")


def test_the_environment_goes_before_the_file_and_an_ad_accounts_before_all(file: Path) -> None:
    environ = {
        "ENGINE_GOOGLE_REFRESH_TOKEN": "from-env",
        "ENGINE_GOOGLE_AD_ACCOUNT_1234567890_REFRESH_TOKEN": "own",
        "ENGINE_META_TOKEN": "another",
        "ENGINE_NATS": "nats://localhost",
    }

    def of(ad_account: str) -> str:
        found = read_credentials("google", file=file, environ=environ, ad_account=ad_account)
        return found.text("refresh_token")

    assert (of(""), of("1234567890"), of("2234567890")) == ("from-env", "own", "from-env")
    assert read_credentials("meta", environ=environ).text("token") == "another"


def test_an_ad_accounts_variable_may_leave_out_what_a_variable_cannot_hold() -> None:
    environ = {"ENGINE_META_AD_ACCOUNT_ACT123_TOKEN": "own"}
    assert read_credentials("meta", environ=environ, ad_account="act_123").text("token") == "own"


def test_a_field_may_name_a_file_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  s3cret\n", encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    path = tmp_path / "platforms.json"
    path.write_text(json.dumps({"google": {"refresh_token_file": "token"}}), encoding="utf-8")
    path.chmod(0o600)
    assert read_credentials("google", file=path).text("refresh_token") == "s3cret"
    environ = {"ENGINE_GOOGLE_CLIENT_SECRET_FILE": str(tmp_path / "token")}
    assert read_credentials("google", environ=environ).text("client_secret") == "s3cret"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "google: {token: s3cret", "YAML wanted, found something else at line"),
        ("a.yaml", "google: [s3cret]", "names with values, found list"),
        ("a.yaml", "- s3cret", "names with values, found list"),
        ("a.yaml", "google: {token: [s3cret]}", "token: text wanted, found list"),
        ("a.yaml", "google: {token: true}", "token: text wanted, found bool"),
        ("a.yaml", "google: {s3cret Name: x}", "a field's name wanted"),
        ("a.yaml", "google: {token_file: not-there}", "a file to read wanted"),
        ("a.json", '{"google": {"token": "s3cret"', "JSON wanted, found something else"),
    ],
)
def test_a_file_that_means_nothing_is_refused_and_not_quoted(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / name).chmod(0o600)
    with pytest.raises(PlatformCredentialsError) as caught:
        read_credentials("google", file=tmp_path / name)
    assert said in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown.replace("s3cret Name", "")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformCredentialsError, match="a file to read wanted, found No such file"):
        read_credentials("google", file=tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_everybody_may_read_is_warned_of(
    file: Path, mode: int, is_warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file.chmod(mode)
    read_credentials("google", file=file)
    said = capsys.readouterr().out
    assert ("credentials_file_open_to_others" in said) is is_warned
    assert "s3cret" not in said


def given(values: Mapping[str, str]) -> Credentials:
    return Credentials(
        "google", {name: Secret(text) for name, text in values.items()}, source="a test"
    )


def test_what_is_missing_is_named_beside_what_was_found() -> None:
    wanted = "google: a test: client_secret wanted, found client_id"
    with pytest.raises(PlatformCredentialsError, match=wanted):
        given({"client_id": "x"}).require("client_id", "client_secret")
    with pytest.raises(PlatformCredentialsError, match="found nothing"):
        given({}).require("client_id")


def test_a_slip_of_the_pen_is_found() -> None:
    with pytest.raises(PlatformCredentialsError, match="found 'refresh_tokn'"):
        given({"refresh_tokn": "x"}).allow(["refresh_token"])


@pytest.mark.parametrize("text", ["tök-1", "tok\n1", "tok\x00"])
def test_a_token_that_no_header_takes_is_refused_and_not_shown(text: str) -> None:
    found = Credentials("meta", {"access_token": Secret(text)}, source="here")
    with pytest.raises(PlatformCredentialsError, match="letters and digits wanted") as error:
        found.require_token("access_token")
    assert text not in str(error.value)
