"""When certificates expire: just that much of X.509 is read here."""

import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["expires_at", "pem_expiries"]

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_0 = 0x30, 0x17, 0x18, 0xA0
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def pem_expiries(file: Path) -> list[float]:
    """Return when the certificates of a PEM file expire, epoch seconds.

    Raises ValueError where one cannot be read, OSError where the file cannot.
    """
    try:
        return [expires_at(base64.b64decode(body)) for body in _PEM.findall(file.read_bytes())]
    except binascii.Error as error:
        raise ValueError(f"{file}: base64, found {error}") from error


def expires_at(der: bytes) -> float:
    """Return when a certificate expires, epoch seconds (RFC 5280, section 4.1: validity).

    Raises ValueError where it is none.
    """
    try:
        certificate = _contents(der, _SEQUENCE)[0]
        rest = _contents(certificate, _SEQUENCE)[0]
        if rest[0] == _EXPLICIT_0:  # the version, where it is told
            rest = _skip(rest)
        for _ in range(3):  # serial number, algorithm, issuer
            rest = _skip(rest)
        validity = _contents(rest, _SEQUENCE)[0]
        return _time(_skip(validity))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("a certificate in DER, found something shorter") from error


def _contents(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the contents of the first element, which must have a tag, and what follows it."""
    if data[0] != tag:
        raise ValueError(f"tag {tag:#x}, found {data[0]:#x}")
    length, begins = data[1], 2
    if length & 0x80:
        begins = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:begins], "big")
    if len(data) < begins + length:
        raise ValueError(f"{length} bytes, found {len(data) - begins}")
    return data[begins : begins + length], data[begins + length :]


def _skip(data: bytes) -> bytes:
    return _contents(data, data[0])[1]


def _time(data: bytes) -> float:
    tag = data[0]
    text = _contents(data, tag)[0].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"a time, found tag {tag:#x}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
