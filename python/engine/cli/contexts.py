"""Contexts: brokers by name, and who one is there. `--context prod`, or ENGINE_CONTEXT.

A context is the same as the ENGINE_* variables it stands for, and takes the place of all that say
where the broker is and who connects. It is read-only until its file says `writable: true` or the
command line `--write`.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import ConfigError

__all__ = ["Context", "chosen", "command", "contexts_file", "in_context", "read_contexts"]

SETTINGS = ("nats", "user", "password_file", "token_file", "nkey_file", "tls_ca", "tls_cert",
            "tls_key", "replicas")  # fmt: skip
SECRETS = ("password", "token")
_FILES = tuple(name for name in SETTINGS if name.endswith("_file") or name.startswith("tls_"))
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Context(NamedTuple):
    """One context of the file."""

    name: str
    settings: dict[str, str]
    writable: bool

    def environ(self, *, write: bool) -> dict[str, str]:
        """Return the variables that it stands for."""
        found = {f"ENGINE_{name.upper()}": value for name, value in self.settings.items()}
        return found if self.writable or write else found | {"ENGINE_READ_ONLY": "1"}


def command(*, json: bool = False) -> int:
    """List the contexts of the file: where each leads, and whether commands may change things.

    The file is ~/.config/campaign-engine/contexts.yaml (or what ENGINE_CONTEXTS names):

        contexts:
          staging: {nats: "nats://staging:4222", writable: true}
          prod:
            nats: tls://nats-1.example.com:4222,tls://nats-2.example.com:4222
            user: operator
            password_file: prod.password
            tls_ca: prod-ca.crt

    Paths are relative to the file. Passwords are in files of their own, never in this one.

    Parameters
    ----------
    json
        Print JSON.
    """
    from engine.cli.output import as_json, complain, say

    file = contexts_file(os.environ)
    found = read_contexts(file) if file.exists() else {}
    current = os.environ.get("ENGINE_CONTEXT", "")
    if json:
        as_json(
            [
                {"name": one.name, "current": one.name == current, "writable": one.writable}
                | {"settings": one.settings}
                for one in found.values()
            ]
        )
        return 0
    if not found:
        complain(f"no contexts: {file} names none (engine contexts --help shows one)")
    width = max(map(len, found), default=0)
    for one in found.values():
        mark = "*" if one.name == current else " "
        rights = "writable" if one.writable else "read-only"
        user = f"  as {one.settings['user']}" if "user" in one.settings else ""
        say(f"{mark} {one.name:<{width}}  {rights:<9}  {one.settings['nats']}{user}")
    return 0


def contexts_file(environ: Mapping[str, str]) -> Path:
    """Return where the contexts are written down."""
    if given := environ.get("ENGINE_CONTEXTS"):
        return Path(given)
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")) / ".config"
    return Path(home) / "campaign-engine" / "contexts.yaml"


def read_contexts(file: Path) -> dict[str, Context]:
    """Return the contexts of a file. Raises ConfigError for the first thing that is wrong."""
    from engine.wiring.settings import read_file

    content = read_file(file)
    if unknown := set(content) - {"contexts"}:
        raise ConfigError(f"{file}: contexts, found {min(map(str, unknown))!r}")
    found = content.get("contexts") or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: contexts: names with settings, found {found!r}")
    return {str(name): _context(file, str(name), given) for name, given in found.items()}


def _context(file: Path, name: str, given: Any) -> Context:  # noqa: ANN401 - whatever YAML holds
    where = f"{file}: contexts.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: a name of 1 to 64 of A-Z a-z 0-9 _ . -, found {name!r}")
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: a mapping with nats, found {given!r}")
    known = (*SETTINGS, "writable")
    for field in given:
        if field in SECRETS:
            raise ConfigError(f"{where}: {field}_file, the file it is in; found {field} itself")
        if field not in known:
            near = difflib.get_close_matches(str(field), known, n=1, cutoff=0.6)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(f"{where}: one of {', '.join(known)}{hint}, found {field!r}")
    writable = given.get("writable", False)
    if not isinstance(writable, bool):
        raise ConfigError(f"{where}.writable: true or false, found {writable!r}")
    if not given.get("nats"):
        raise ConfigError(f"{where}.nats: a URL such as nats://127.0.0.1:4222, found none")
    settings = {
        field: str(file.parent / str(value)) if field in _FILES else str(value)
        for field, value in given.items()
        if field != "writable"
    }
    from engine.messaging.credentials import has_password

    if has_password(settings["nats"]):
        raise ConfigError(f"{where}.nats: an address without a password, which is for a file")
    return Context(name, settings, writable)


def chosen(
    arguments: Sequence[str], environ: Mapping[str, str]
) -> tuple[list[str], str | None, bool]:
    """Return the arguments without `--context NAME` and `--write`, the name, and whether to write.

    Raises ConfigError where a name is wanted and none follows.
    """
    rest: list[str] = []
    name: str | None = environ.get("ENGINE_CONTEXT") or None
    write = False
    todo = iter(arguments)
    for argument in todo:
        if argument == "--":
            rest += [argument, *todo]
        elif argument == "--context":
            name = next(todo, None)
            if name is None or name.startswith("-"):
                raise ConfigError("--context: a name of `engine contexts`, found none")
        elif argument.startswith("--context="):
            name = argument.partition("=")[2]
        elif argument == "--write":
            write = True
        else:
            rest.append(argument)
    return rest, name, write


@contextmanager
def in_context(name: str | None, *, write: bool, nats: bool = False) -> Iterator[None]:
    """Put the variables of a context in the place of others while the body runs.

    `nats`: whether --nats is given as well, which says where the broker is a second time. Raises
    ConfigError.
    """
    if name is None:
        yield
        return
    if nats:
        raise ConfigError("--nats and --context: one of them, found both")
    file = contexts_file(os.environ)
    contexts = read_contexts(file)
    if name not in contexts:
        near = difflib.get_close_matches(name, contexts, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"--context: one of {file}{hint}, found {name!r}")
    before = dict(os.environ)
    for setting in (*SETTINGS, *SECRETS):
        os.environ.pop(f"ENGINE_{setting.upper()}", None)
    os.environ.update(contexts[name].environ(write=write))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
