"""Who a process is: read from settings and files, and never shown."""

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.messaging.credentials import Credentials, masked
from engine.messaging.granted import Granted, _covers, _meets, _Permissions, _Subjects
from engine.messaging.identity import IdentitySettings
from engine.messaging.permissions import Role, rights_of
from engine.wiring import load
from engine.worker.settings import WorkerSettings


def test_a_secret_comes_from_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n", encoding="utf-8")
    environ = {"ENGINE_USER": "worker", "ENGINE_PASSWORD_FILE": str(file)}
    found = load(IdentitySettings, environ=environ).credentials()
    assert found == Credentials(user="worker", password="s3cret")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"password": "s3cret"}, "password: goes with a user, found none"),
        ({"user": "w", "password_file": "none"}, "password_file: none: a file to read, found"),
        ({"user": "w", "password": "s3cret", "password_file": "f"}, "one of them, found both"),
        ({"token_file": "/dev/null"}, "token_file: /dev/null: a token, found an empty file"),
        ({"tls_key": "key.pem"}, "tls_key: goes with a tls_cert, found none"),
    ],
)
def test_what_does_not_fit_together_is_one_line(settings: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        IdentitySettings(**settings).credentials()
    assert "s3cret" not in str(caught.value)


def test_certificates_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificates in PEM, found"):
        Credentials(ca_file=tmp_path / "none.crt").tls()


def test_a_secret_is_in_no_repr() -> None:
    settings = WorkerSettings(user="worker", password="s3cret", token="t0ken")
    for shown in (repr(settings), repr(settings.credentials())):
        assert "s3cret" not in shown
        assert "t0ken" not in shown


def test_a_refused_secret_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("password: 12345678\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"found \*\*\*") as caught:
        load(WorkerSettings, file=file, environ={})
    assert "12345678" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings, environ={"ENGINE_NATS": "http://w:s3cret@h"})
    assert "s3cret" not in str(caught.value)


def test_an_address_is_shown_without_its_password() -> None:
    assert masked("nats://w:p@:4222/@h:1 tls://t0k@h2") == "nats://w:***@h:1 tls://***@h2"
    assert masked("see http://h:1/ready") == "see http://h:1/ready"


@pytest.mark.parametrize(
    ("granted", "wanted", "covers", "meets"),
    [
        ("engine.dead.>", "engine.dead.>", True, True),
        ("engine.dead.>", "engine.dead.a.b", True, True),
        ("engine.dead.>", "engine.dead", False, False),
        ("engine.*.3", "engine.metrics.3", True, True),
        ("engine.*.3", "engine.metrics.*", False, True),
        ("engine.metrics.3", "engine.metrics.*", False, True),
        ("engine.metrics.*", "engine.metrics.>", False, True),
        ("engine.metrics.*", "engine.metrics.3.4", False, False),
        ("engine.decisions.*", "engine.metrics.*", False, False),
        (">", "_INBOX.w.>", True, True),
    ],
)
def test_patterns_are_compared_as_the_server_does(
    granted: str, wanted: str, covers: bool, meets: bool
) -> None:
    assert (_covers(granted, wanted), _meets(granted, wanted)) == (covers, meets)


# An operator sends dead letters again. A worker changes the state of campaigns, but deals no
# account's shares and halts nobody. Nobody but a gateway speaks as one.
MORE = {Role.OPERATOR: {Role.PUBLISHER, Role.DASHBOARD}}


@pytest.mark.parametrize("role", Role)
def test_what_a_role_needs_is_enough_for_it_and_for_no_other(role: Role) -> None:
    rights = rights_of(role, user="u")
    permissions = _Permissions(
        publish=_Subjects(allow=list(rights.publish)),
        subscribe=_Subjects(allow=list(rights.subscribe)),
    )
    granted = Granted(user="u", permissions=permissions)
    suffices = {other for other in Role if not granted.lacking(rights_of(other, user="u"))}
    assert suffices == {role} | MORE.get(role, set())


def test_what_is_denied_is_lacking() -> None:
    publish = _Subjects(allow=[">"], deny=["engine.decisions.7"])
    granted = Granted(permissions=_Permissions(publish=publish))
    assert "publish engine.decisions.*" in granted.lacking(rights_of(Role.WORKER, user="w"))
