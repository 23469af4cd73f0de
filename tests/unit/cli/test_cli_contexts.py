"""Contexts: brokers by name, read-only until said otherwise; versions and completion too."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.cli.contexts import chosen, in_context
from engine.errors import ConfigError

if TYPE_CHECKING:
    from .conftest import Engine


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    file = tmp_path / "contexts.yaml"
    monkeypatch.setenv("ENGINE_CONTEXTS", str(file))
    monkeypatch.delenv("ENGINE_CONTEXT", raising=False)

    def write(text: str) -> Path:
        file.write_text(text)
        return file

    return write


PROD = """
contexts:
  prod:
    nats: tls://nats-1.example.com:4222
    user: operator
    password_file: prod.password
  dev: {nats: "nats://127.0.0.1:4222", writable: true}
"""


@pytest.mark.parametrize(
    ("arguments", "rest", "name", "write"),
    [
        (["list"], ["list"], None, False),
        (["--context", "prod", "list"], ["list"], "prod", False),
        (["list", "--context=prod", "--write", "-n", "3"], ["list", "-n", "3"], "prod", True),
        (["a", "--", "--context", "x"], ["a", "--", "--context", "x"], None, False),
    ],
)
def test_the_name_is_taken_from_anywhere(
    arguments: list[str], rest: list[str], name: str | None, write: bool
) -> None:
    assert chosen(arguments, {}) == (rest, name, write)


def test_the_command_line_goes_before_the_variable() -> None:
    assert chosen(["list"], {"ENGINE_CONTEXT": "dev"})[1] == "dev"
    assert chosen(["--context", "prod"], {"ENGINE_CONTEXT": "dev"})[1] == "prod"
    with pytest.raises(ConfigError, match="found none"):
        chosen(["list", "--context"], {})


def test_a_context_takes_the_place_of_what_says_where_and_who(
    contexts: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = contexts(PROD)
    monkeypatch.setenv("ENGINE_NATS", "nats://elsewhere:1")
    monkeypatch.setenv("ENGINE_PASSWORD", "of another user")
    monkeypatch.setenv("ENGINE_INTERVAL", "3")
    before = dict(os.environ)
    with in_context("prod", write=False):
        assert os.environ["ENGINE_NATS"] == "tls://nats-1.example.com:4222"
        assert os.environ["ENGINE_PASSWORD_FILE"] == str(file.parent / "prod.password")
        assert "ENGINE_PASSWORD" not in os.environ
        assert os.environ["ENGINE_INTERVAL"] == "3"
        assert os.environ["ENGINE_READ_ONLY"] == "1"
    assert dict(os.environ) == before
    with in_context("prod", write=True):
        assert "ENGINE_READ_ONLY" not in os.environ
    with in_context("dev", write=False):
        assert "ENGINE_READ_ONLY" not in os.environ


def test_what_writes_is_refused_in_a_read_only_context_and_a_dry_run_is_not(
    contexts: Callable[[str], Path], engine: "Engine", tmp_path: Path
) -> None:
    contexts(PROD)
    file = tmp_path / "one.json"
    file.write_text('[{"id":"a","budget":1,"flight":{"starts_at":"now","ends_at":"+1h"},'
                    '"platforms":["google"],"conversion_value":1}]')  # fmt: skip
    for command in (
        ("publish", file), ("apply", file, "--yes"), ("pause", "a"), ("stop", "a", "--yes"),
        ("pause", "--where", "state=active", "--yes"), ("halt", "--yes"), ("metrics", file),
        ("dead", "retry", "--all"), ("provision",),
    ):  # fmt: skip
        code, _, err = engine(*command, "--context", "prod")
        assert (code, "this context is read-only" in err) == (2, True), command
    for command in (("publish", file, "--dry-run"), ("plan", file), ("list",),
                    ("apply", file, "--dry-run"), ("halt", "--dry-run")):  # fmt: skip
        assert engine(*command, "--context", "prod").code == 0, command
    assert engine("list").err == "no campaigns\n"
    assert engine("publish", file, "--context", "prod", "--write").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contexts: {prod: {user: x}}", "contexts.prod.nats: a URL"),
        ("contexts: {prod: {nats: 'nats://a', usr: x}}", "did you mean user?"),
        ("contexts: {prod: {nats: 'nats://a', password: x}}", "password_file"),
        ("contexts: {prod: {nats: 'nats://u:secret@a'}}", "an address without a password"),
        ("contexts: {prod: {nats: 'nats://a', writable: maybe}}", "true or false"),
        ("contexts: [prod]", "names with settings"),
        ("prod: {}", "contexts, found 'prod'"),
        ("contexts: {'a b': {nats: 'nats://a'}}", "a name of 1 to 64"),
        ("contexts: {dev: {nats: 'nats://a'}, prods: {nats: 'nats://b'}}", "did you mean prods?"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_in_a_line(
    contexts: Callable[[str], Path], engine: "Engine", text: str, words: str
) -> None:
    contexts(text)
    code, out, err = engine("list", "--context", "prod")
    assert (code, out) == (2, "")
    assert words in err
    assert "secret" not in err
    assert err.count("\n") == 1


def test_an_address_and_a_context_are_one_too_many(
    contexts: Callable[[str], Path], engine: "Engine"
) -> None:
    contexts(PROD)
    code, _, err = engine("list", "--context", "prod", "--nats", "nats://127.0.0.1:4222")
    assert (code, err) == (2, "engine: --nats and --context: one of them, found both\n")


def test_contexts_are_listed(contexts: Callable[[str], Path], engine: "Engine") -> None:
    contexts(PROD)
    assert engine("contexts").out == (
        "  prod  read-only  tls://nats-1.example.com:4222  as operator\n"
        "  dev   writable   nats://127.0.0.1:4222\n"
    )
    assert '"writable":false' in engine("contexts", "--json").out


def test_the_version_tells_what_there_is(engine: "Engine") -> None:
    code, out, _ = engine("--version")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "campaign-engine",
        "core",
        "Python",
        "nats-py",
        "nats-server",
    ]
    assert "(release)" in out or "(debug)" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_every_command(engine: "Engine", shell: str) -> None:
    from engine.cli.app import COMMANDS

    code, out, _ = engine("completion", shell)
    assert code == 0
    assert [name for name in COMMANDS if name not in out] == []
    assert "--where" in out
