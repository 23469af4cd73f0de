"""When a certificate expires, read from what trustme makes."""

import datetime
from pathlib import Path

import pytest
import trustme

from engine.messaging.certificates import expires_at, pem_expiries


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2099])  # two and four digits on the wire
def test_the_end_of_its_validity_is_read(tmp_path: Path, year: int) -> None:
    ends = datetime.datetime(year, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    certificate = trustme.CA().issue_cert("localhost", not_after=ends)
    file = tmp_path / "server.crt"
    certificate.cert_chain_pems[0].write_to_path(file)
    assert pem_expiries(file) == [ends.timestamp()]


def test_a_file_without_certificates_has_none(tmp_path: Path) -> None:
    file = tmp_path / "empty.crt"
    file.write_text("nothing")
    assert pem_expiries(file) == []


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x82\x01", b"\x02\x01\x01", b"\x30\x00" * 9])
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        expires_at(data)
