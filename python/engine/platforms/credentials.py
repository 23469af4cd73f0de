"""Credentials of ad platforms: from a file or the environment, and shown to nobody.

A file maps platforms to fields; under `ad_accounts` an ad account has fields that go before them:

    google:
      client_id: 1234.apps.googleusercontent.com
      client_secret_file: /run/secrets/google_client_secret
      refresh_token: …
      ad_accounts:
        "1234567890": {login_customer_id: "5556667777"}

Variables go before the file: ENGINE_GOOGLE_REFRESH_TOKEN, and for one ad account
ENGINE_GOOGLE_AD_ACCOUNT_1234567890_REFRESH_TOKEN. A name that ends in `_file` (`_FILE`) is read
from the file it names, beside the credentials file where its path is relative.
"""

import hmac
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog
import yaml

from engine.errors import PlatformCredentialsError, PlatformError

__all__ = ["Credentials", "Secret", "masked", "read_credentials"]

_log = structlog.get_logger(__name__)
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OF_AD_ACCOUNT = re.compile(r"ad_account_([A-Za-z0-9]+)_(.+)")


class Secret:
    """A text that is not shown, stored or sent by accident: only `reveal` tells it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor stored")


def masked(error: PlatformError, *secrets: Secret | None) -> PlatformError:
    """Return an error without secrets in what a platform said: some quote a malformed one."""

    def hide(text: str) -> str:
        for secret in secrets:
            if secret:
                text = text.replace(secret.reveal(), repr(secret))
        return text

    error.reason = hide(error.reason)
    error.args = tuple(hide(str(each)) for each in error.args)
    return error


class Credentials:
    """What a platform wants to know of who asks, by name; where it was read, for messages."""

    def __init__(
        self, platform: str, values: Mapping[str, Secret], *, source: str, ad_account: str = ""
    ) -> None:
        self.platform = platform
        self.ad_account = ad_account
        self.source = source
        self._values = dict(values)

    def __repr__(self) -> str:
        names = ", ".join(f"{name}=***" for name in sorted(self._values)) or "nothing"
        return f"Credentials({self.platform}, {self.source}: {names})"

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))

    def get(self, name: str) -> Secret | None:
        """Return a field, None where it is not given or empty."""
        return self._values.get(name) or None

    def text(self, name: str, default: str = "") -> str:
        """Return a field that is no secret, such as an id or an address."""
        found = self.get(name)
        return found.reveal() if found else default

    def require(self, *names: str) -> list[Secret]:
        """Return fields in the order asked for. Raises PlatformCredentialsError for one missing."""
        missing = [name for name in names if not self.get(name)]
        if missing:
            raise self.refused(f"{' and '.join(missing)} wanted, found {self._found()}")
        return [self._values[name] for name in names]

    def require_token(self, name: str) -> Secret:
        """Return a field that goes into a header. Raises PlatformCredentialsError."""
        [token] = self.require(name)
        if not token.reveal().isascii() or not token.reveal().isprintable():
            raise self.refused(f"{name}: letters and digits wanted, found others")
        return token

    def allow(self, names: Iterable[str]) -> None:
        """Raise PlatformCredentialsError where a field is none of these: a slip of the pen."""
        known = sorted(set(names))
        for name in self:
            if name not in known:
                raise self.refused(f"fields {', '.join(known)} wanted, found {name!r}")

    def refused(self, reason: str) -> PlatformCredentialsError:
        """Return the error to raise for a field that does not do."""
        whose = f" for ad account {self.ad_account}" if self.ad_account else ""
        return PlatformCredentialsError(self.platform, f"{self.source}{whose}: {reason}")

    def _found(self) -> str:
        return ", ".join(self) or "nothing"


def read_credentials(
    platform: str,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    ad_account: str = "",
) -> Credentials:
    """Return the credentials of a platform, with what an ad account has of its own.

    Raises PlatformCredentialsError where a file cannot be read or means nothing; a file that
    others than its owner may read is warned of in the log.
    """
    layers: list[Mapping[str, object]] = []
    folder = Path()
    if file is not None:
        layers += _of_file(platform, file, ad_account)
        folder = file.parent
    layers += _of_environ(platform, environ or {}, ad_account)
    values: dict[str, Secret] = {}
    for layer in layers:
        for name, value in layer.items():
            plain, secret = _field(platform, name, value, folder)
            values[plain] = secret
    sources = [str(file)] * (file is not None) + ["the environment"] * bool(environ)
    return Credentials(
        platform, values, source=" and ".join(sources) or "no source", ad_account=ad_account
    )


def _of_file(platform: str, file: Path, ad_account: str) -> list[Mapping[str, object]]:
    content = _mapping(platform, str(file), _decode(platform, file))
    if platform not in content:
        return []
    fields = _mapping(platform, f"{file}: {platform}", content[platform])
    accounts = _mapping(
        platform, f"{file}: {platform}.ad_accounts", fields.pop("ad_accounts", None) or {}
    )
    by_id = {str(key): value for key, value in accounts.items()}
    own = by_id.get(ad_account, {}) if ad_account else {}
    return [fields, _mapping(platform, f"{file}: {platform}.ad_accounts.{ad_account}", own)]


def _decode(platform: str, file: Path) -> object:
    # What a parser says of a text it cannot read quotes the text: here only the line is told.
    try:
        text = _read(platform, file)
        if file.suffix.lower() == ".json":
            return msgspec.json.decode(text)
        return yaml.safe_load(text)
    except msgspec.DecodeError:
        reason = "JSON wanted, found something else"
    except yaml.MarkedYAMLError as error:
        at = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = f"YAML wanted, found something else{at}"
    except yaml.YAMLError:
        reason = "YAML wanted, found something else"
    raise PlatformCredentialsError(platform, f"{file}: {reason}")


def _read(platform: str, file: Path) -> str:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"{file}: a file to read wanted, found {error.strerror}"
        raise PlatformCredentialsError(platform, reason) from None
    except UnicodeDecodeError:
        raise PlatformCredentialsError(platform, f"{file}: UTF-8 wanted") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        _log.warning(
            "credentials_file_open_to_others",
            platform=platform,
            file=str(file),
            mode=oct(stat.S_IMODE(mode)),
            wanted="0o600",
        )
    return text


def _of_environ(
    platform: str, environ: Mapping[str, str], ad_account: str
) -> list[Mapping[str, object]]:
    prefix = f"ENGINE_{platform.upper().replace('-', '_')}_"
    own: dict[str, object] = {}
    for_all: dict[str, object] = {}
    for variable, value in environ.items():
        if not variable.startswith(prefix):
            continue
        name = variable.removeprefix(prefix).lower()
        found = _OF_AD_ACCOUNT.fullmatch(name)
        if found is None:
            for_all[name] = value
        elif ad_account and found[1] == re.sub(r"[^a-z0-9]", "", ad_account.lower()):
            own[found[2]] = value
    return [for_all, own]


def _field(platform: str, name: str, value: object, folder: Path) -> tuple[str, Secret]:
    if _FIELD.fullmatch(name) is None:
        raise PlatformCredentialsError(platform, f"a field's name wanted, found {name!r}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = type(value).__name__
        raise PlatformCredentialsError(platform, f"{name}: text wanted, found {kind}")
    if name.endswith("_file"):
        content = _read(platform, folder / str(value))
        return name.removesuffix("_file"), Secret(content.strip())
    return name, Secret(str(value).strip())


def _mapping(platform: str, where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise PlatformCredentialsError(platform, f"{where}: names with values, found {kind}")
    return {str(name): each for name, each in value.items()}
