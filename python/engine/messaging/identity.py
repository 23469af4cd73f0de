"""Who a process is to the broker, as settings: in its file, or by ENGINE_USER and so on.

There is no flag for any of it: everybody on a machine can read the arguments of its processes.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.errors import ConfigError
from engine.messaging.credentials import Credentials

__all__ = ["IdentitySettings"]

_Path = Annotated[str, Meta(min_length=1, description="the path of a file")]
_Secret = Annotated[
    str, Meta(min_length=1, description="a text of at least a character", extra={"secret": True})
]


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of it is given. A secret comes by itself, or in a file whose path is told."""

    user: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]{1,64}$",
                title="Who the process is to nats-server; also the name of its inboxes",
                description="a name of 1 to 64 of A-Z a-z 0-9 _ - such as worker",
            ),
        ]
        | None
    ) = None
    password: (
        Annotated[
            _Secret,
            Meta(title="The user's; a file is better"),
        ]
        | None
    ) = None
    password_file: Annotated[_Path, Meta(title="Where the password is read from")] | None = None
    token: Annotated[_Secret, Meta(title="For servers that know tokens only")] | None = None
    token_file: Annotated[_Path, Meta(title="Where the token is read from")] | None = None
    nkey_file: Annotated[_Path, Meta(title="Seed (SU…); needs the extra `nkeys`")] | None = None
    tls_ca: (
        Annotated[
            _Path,
            Meta(title="Whom to trust; nothing is said without TLS then"),
        ]
        | None
    ) = None
    tls_cert: Annotated[_Path, Meta(title="Our certificate, where asked for")] | None = None
    tls_key: Annotated[_Path, Meta(title="Its key")] | None = None

    def __repr__(self) -> str:
        given = [name for name in IdentitySettings.__struct_fields__ if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(given)})"

    def credentials(self) -> Credentials:
        """Return what is given, files read.

        Raises:
            ConfigError: a file cannot be read, or what is given does not fit together.
        """
        password = _secret("password", self.password, self.password_file)
        if password and self.user is None:
            raise ConfigError("password: goes with a user, found none (ENGINE_USER)")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("tls_key: goes with a tls_cert, found none (ENGINE_TLS_CERT)")
        return Credentials(
            user=self.user or "",
            password=password,
            token=_secret("token", self.token, self.token_file),
            nkey_seed=_secret("nkey", None, self.nkey_file),
            ca_file=_path(self.tls_ca),
            cert_file=_path(self.tls_cert),
            key_file=_path(self.tls_key),
        )


def _secret(what: str, given: str | None, file: str | None) -> str:
    if file is None:
        return given or ""
    if given is not None:
        raise ConfigError(f"{what} and {what}_file: one of them, found both")
    try:
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError(f"{what}_file: {file}: a file to read, found {reason}") from None
    if not found:
        raise ConfigError(f"{what}_file: {file}: a {what}, found an empty file")
    return found


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
