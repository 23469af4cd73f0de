"""Settings from four places: flags go before ENGINE_* variables, before a file, before defaults.

Every field is converted on its own, so that an error names where the value came from, what was
wanted and what was found: `ENGINE_INTERVAL: seconds above 0 such as 2, found 'fast'`. What was
wanted is the description in the field's `msgspec.Meta`.
"""

import difflib
import math
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from engine.errors import ConfigError
from engine.messaging.credentials import has_password, masked

__all__ = ["PREFIX", "load", "read_file"]

PREFIX = "ENGINE_"
CLOSE = 0.8  # names as near as this (difflib's ratio) are taken for a slip of the pen
_SettingsT = TypeVar("_SettingsT", bound=msgspec.Struct)

_READERS: dict[str, Callable[[bytes], Any]] = {
    ".yaml": msgspec.yaml.decode,
    ".yml": msgspec.yaml.decode,
    ".toml": msgspec.toml.decode,
    ".json": msgspec.json.decode,
}


def load(
    settings: type[_SettingsT],
    *,
    file: str | Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> _SettingsT:
    """Return settings of the type asked for.

    `flags` are by field name, None meaning "not given"; `environ` is the process's own where not
    handed in. A variable that begins with ENGINE_ and belongs to no field is another program's,
    unless it looks like a slip of the pen.

    Raises ConfigError, in one line, for the first thing that is wrong.
    """
    fields = {field.name: field for field in msgspec.structs.fields(settings)}
    values: dict[str, object] = {}
    sources = (
        _from_file(file, fields),
        _from_environ(os.environ if environ is None else environ, fields),
        _from_flags(flags or {}),
    )
    for source in sources:
        for name, where, value, is_text in source:
            values[name] = _convert(fields[name].type, where, value, is_text=is_text)
    return settings(**values)


def read_file(path: Path) -> dict[str, Any]:
    """Return what a YAML, TOML or JSON file maps names to. Raises ConfigError."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{path}: a file ending in {', '.join(_READERS)}, found {path.name!r}")
    try:
        content = reader(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: a file to read, found {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())  # YAML's reasons come in several lines
        raise ConfigError(f"{path}: {path.suffix[1:].upper()}, found {reason}") from error
    if content is None:  # a file of comments only
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: names with values, found {type(content).__name__}")
    return content


Given = Iterator[tuple[str, str, object, bool]]  # name, where it is from, value, is it text


def _from_file(file: str | Path | None, fields: Mapping[str, object]) -> Given:
    if file is None:
        return
    for name, value in read_file(Path(file)).items():
        if name not in fields:
            raise ConfigError(f"{file}: no setting is called {name!r}{_did_you_mean(name, fields)}")
        yield name, f"{file}: {name}", value, False


def _from_environ(environ: Mapping[str, str], fields: Mapping[str, object]) -> Given:
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in fields:
            yield name, variable, value, True
        elif near := difflib.get_close_matches(name, fields, n=1, cutoff=CLOSE):
            hint = f"{PREFIX}{near[0].upper()}"
            raise ConfigError(f"{variable}: no setting is called that; did you mean {hint}?")


def _from_flags(flags: Mapping[str, object]) -> Given:
    for name, value in flags.items():
        if value is not None:
            if isinstance(value, str) and has_password(value):
                where = "the environment (ENGINE_PASSWORD_FILE) or the file of settings"
                raise ConfigError(f"--{name}: an address without a password, which is for {where}")
            yield name, f"--{name.replace('_', '-')}", value, isinstance(value, str)


def _did_you_mean(name: object, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=CLOSE)
    return f"; did you mean {close[0]}?" if close else ""


def _convert(kind: object, where: str, value: object, *, is_text: bool) -> object:
    try:
        converted = msgspec.convert(value, cast("Any", kind), strict=not is_text)
    except msgspec.ValidationError as error:
        wanted = _description(kind) or str(error)
        raise ConfigError(f"{where}: {wanted}, found {_shown(kind, value)}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ConfigError(f"{where}: {_description(kind) or 'a finite number'}, found {value!r}")
    return converted


def _shown(kind: object, value: object) -> str:
    """Return a refused value, as far as it may be shown."""
    return "***" if _is_secret(kind) else masked(repr(value))


def _is_secret(kind: object) -> bool:
    metas = (meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return any((meta.extra or {}).get("secret") for meta in metas) or any(
        _is_secret(inner) for inner in typing.get_args(kind)
    )


def _description(kind: object) -> str | None:
    """Return the description in the annotation of a field, also inside `… | None`."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    for inner in typing.get_args(kind):
        if hasattr(inner, "__metadata__"):
            return _description(inner)
    return None
