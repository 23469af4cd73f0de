"""Certificates of a sandbox's own, for demos that show TLS: a new authority each time."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import msgspec

from engine.clock import Clock

__all__ = ["Certificates", "make_certificates"]


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate and key, and the authority to trust: all in PEM."""

    ca: bytes
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Certificates(***)"


def make_certificates(*, clock: Clock, days: int = 7) -> Certificates:
    """Return certificates for 127.0.0.1 and localhost by an authority that is forgotten at once.

    Needs the package cryptography, which the google extra brings.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key: Any, signer: Any, *, is_ca: bool) -> x509.Certificate:  # noqa: ANN401 # an EC key
        begins = datetime.fromtimestamp(clock.now(), UTC) - timedelta(minutes=5)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(_AUTHORITY))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def pem(of: x509.Certificate) -> bytes:
        return of.public_bytes(serialization.Encoding.PEM)

    authority = ec.generate_private_key(ec.SECP256R1())
    own = ec.generate_private_key(ec.SECP256R1())
    return Certificates(
        ca=pem(certificate(_AUTHORITY, authority, authority, is_ca=True)),
        certificate=pem(certificate("sandbox", own, authority, is_ca=False)),
        key=own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


_AUTHORITY = "campaign-engine sandbox"
