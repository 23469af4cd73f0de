"""How a connection says who it is: user and password, a token, an nkey, a certificate.

A secret is in no repr, and `masked` takes it out of addresses: neither a log nor an error shows it.
"""

import re
import ssl
from pathlib import Path

import msgspec

from engine.errors import ConfigError

__all__ = ["Credentials", "has_password", "masked"]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who connects. Nothing set: whoever the address names, or nobody."""

    user: str = ""
    password: str = ""
    token: str = ""
    nkey_seed: str = ""
    ca_file: Path | None = None  # whom to trust; None: the machine's certificates
    cert_file: Path | None = None  # our own certificate, with its key
    key_file: Path | None = None

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if getattr(self, name)]
        return f"Credentials({', '.join(names)})"

    @property
    def names_somebody(self) -> bool:
        return bool(self.user or self.token or self.nkey_seed or self.cert_file)

    @property
    def wants_tls(self) -> bool:
        """Return whether the password may only travel encrypted."""
        return bool(self.ca_file or self.cert_file)

    def tls(self) -> ssl.SSLContext | None:
        """Return how to encrypt, None where nothing is asked for. Raises ConfigError."""
        if not self.wants_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{self.ca_file}: certificates in PEM, found {error}") from error
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file)
            except (OSError, ssl.SSLError) as error:
                wanted = f"{self.cert_file}: a certificate in PEM with its key"
                raise ConfigError(f"{wanted} ({self.key_file}), found {error}") from error
        return context


def has_password(url: str) -> bool:
    """Return whether an address holds a password or a token.

    >>> has_password("nats://w1:secret@broker:4222"), has_password("nats://broker:4222")
    (True, False)
    """
    return masked(url) != url


def masked(text: str) -> str:
    """Return a text with the passwords and tokens of the addresses in it left out.

    >>> masked("cannot connect to nats://me:s3cr/et@@10.0.0.1:4222,nats://token@10.0.0.2")
    'cannot connect to nats://me:***@10.0.0.1:4222,nats://***@10.0.0.2'
    """
    return re.sub(r"(?<=://)(?:([^\s:/@,]*):)?[^\s,'\"]*@", _left, text)


def _left(found: re.Match[str]) -> str:
    user = found.group(1)
    return f"{user}:***@" if user is not None else "***@"
