"""How Google is called: headers, deadlines, tokens and TLS, and what is not left in logs."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsStreamRequest,
)

from engine.clock import SystemClock
from engine.errors import PlatformCredentialsError, PlatformUnavailableError
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.google.access import access_of
from engine.platforms.google.adapter import GoogleAds
from engine.platforms.google.channel import Clients
from engine.platforms.port import Lever
from engine.platforms.registry import make_platform
from engine.sandbox.faults import Call, Trouble
from engine.sandbox.google.server import GoogleSandbox
from engine.sandbox.state import MemoryBooks
from engine.sandbox.tls import Certificates, make_certificates
from support.clock import ManualClock
from support.platforms import UnderTest, furnish_google, google, mutation, no_loose_ends
from support.waiting import wait_until


@pytest.fixture
async def here() -> AsyncIterator[UnderTest]:
    async with no_loose_ends(), google() as under_test:
        yield under_test


@asynccontextmanager
async def secured(certificates: Certificates) -> AsyncIterator[GoogleSandbox]:
    books = MemoryBooks()
    furnish_google(books)
    async with GoogleSandbox(
        books=books, clock=SystemClock(), certificates=certificates
    ) as sandbox:
        yield sandbox


async def number_of_accounts(credentials: Credentials) -> int:
    platform = make_platform("google", credentials, clock=SystemClock())
    try:
        return len(await platform.accounts())
    finally:
        await platform.aclose()


def by_trustme() -> Certificates:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    return Certificates(
        ca=authority.cert_pem.bytes(),
        certificate=own.cert_chain_pems[0].bytes(),
        key=own.private_key_pem.bytes(),
    )


@pytest.mark.parametrize("own", [True, False])
async def test_over_tls_the_authority_of_the_credentials_is_trusted(own: bool) -> None:
    certificates = make_certificates(clock=SystemClock()) if own else by_trustme()
    async with no_loose_ends(), secured(certificates) as sandbox:
        assert sandbox.endpoint.startswith("https://")
        credentials = sandbox.credentials(login_customer_id="9990000000")
        assert await number_of_accounts(credentials) == 2


async def test_a_server_of_another_authority_is_not_spoken_to() -> None:
    async with no_loose_ends(), secured(by_trustme()) as sandbox:
        strange = by_trustme().ca.decode()
        with pytest.raises(PlatformUnavailableError):
            await number_of_accounts(sandbox.credentials(ca=strange))
        assert sandbox.heard == []


async def test_every_call_says_who_asks_and_through_whom(here: UnderTest) -> None:
    platform = here.others["make"](developer_token="a-developer-token")
    await platform.inspect([here.bid])
    await platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    heard = here.others["sandbox"].heard
    assert {method for method, _ in heard} == {"SearchStream", "MutateAdGroups"}
    for _, headers in heard:
        assert headers["authorization"].startswith("Bearer ya29.")
        assert headers["developer-token"] == "a-developer-token"
        assert headers["login-customer-id"] == "9990000000"
        assert "customer_id=1234567890" in headers["x-goog-request-params"]


async def test_a_developer_token_is_not_needed(here: UnderTest) -> None:
    await here.platform.inspect([here.bid])
    [(_, headers), *_] = here.others["sandbox"].heard
    assert "developer-token" not in headers


async def test_without_a_manager_in_the_credentials_each_account_is_reached_through_its_own(
    here: UnderTest,
) -> None:
    platform = here.others["make"](login_customer_id="")
    with pytest.raises(PlatformCredentialsError, match="USER_PERMISSION_DENIED"):
        await platform.inspect([here.bid])
    assert {each.id for each in await platform.accounts()} == {"1234567890", "2234567890"}
    assert len(await platform.inspect([here.bid])) == 1
    assert here.others["sandbox"].heard[-1][1]["login-customer-id"] == "9990000000"


async def test_many_calls_at_once_fetch_one_token(here: UnderTest) -> None:
    await asyncio.gather(*(here.platform.inspect([here.bid]) for _ in range(10)))
    assert here.others["sandbox"].tokens.asked == 1


async def test_a_token_that_is_no_longer_good_is_fetched_anew_and_nobody_notices(
    here: UnderTest,
) -> None:
    tokens = here.others["sandbox"].tokens
    assert len(await here.platform.inspect([here.bid])) == 1
    tokens.revoke()
    assert len(await here.platform.inspect([here.bid])) == 1
    tokens.revoke()
    await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert tokens.asked == 3
    assert len(here.books.moves) == 1


async def test_a_refusal_that_no_new_token_mends_is_not_asked_twice(here: UnderTest) -> None:
    here.faults.plan(Call.INSPECT, Trouble.DENIED)
    with pytest.raises(PlatformCredentialsError, match="USER_PERMISSION_DENIED"):
        await here.platform.inspect([here.bid])
    assert len(here.others["sandbox"].heard) == 1


async def test_an_oauth_refusal_is_told_in_oauths_words(here: UnderTest) -> None:
    with pytest.raises(PlatformCredentialsError) as caught:
        await here.others["make"](client_secret="not-it").inspect([here.bid])
    assert caught.value.code == "invalid_client"
    with pytest.raises(PlatformCredentialsError) as caught:
        await here.others["make"](refresh_token="not-it").inspect([here.bid])
    assert caught.value.code == "invalid_grant"


async def test_a_token_server_that_is_away_is_not_taken_for_a_refusal(here: UnderTest) -> None:
    await here.others["sandbox"].tokens.stop()
    with pytest.raises(PlatformUnavailableError, match="the token server did not answer"):
        await here.platform.inspect([here.bid])


async def test_a_service_account_signs_for_its_token() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    async with no_loose_ends(), google() as here:
        sandbox = here.others["sandbox"]
        account = {
            "type": "service_account",
            "client_email": "robot@project.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "token_uri": f"http://127.0.0.1:{sandbox.tokens.port}/token",
        }
        platform = here.others["make"](
            service_account=json.dumps(account), refresh_token="", client_id="", client_secret=""
        )
        with pytest.raises(PlatformCredentialsError, match="invalid_grant"):
            await platform.inspect([here.bid])
        sandbox.tokens.service_accounts[account["client_email"]] = public.decode()
        assert len(await platform.inspect([here.bid])) == 1


LOGGERS = ("google", "grpc", "urllib3", "requests")


async def test_at_debug_no_log_shows_a_token(
    here: UnderTest, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).addHandler(caplog.handler)  # google's tells its parents nothing
    try:
        platform = here.others["make"](developer_token="a-developer-token")
        await platform.accounts()
        await platform.inspect([here.bid])
        await platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
        here.faults.plan(Call.APPLY, Trouble.UNAVAILABLE)
        with pytest.raises(PlatformUnavailableError):
            await platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    finally:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.NOTSET)
            logging.getLogger(name).removeHandler(caplog.handler)
    # A structured formatter shows more of a record than its message.
    records = "".join(f"{vars(record)}" for record in caplog.records)
    said = caplog.text + records + "".join(capsys.readouterr())
    assert "sandbox-" in said, "the request ids are in the log"
    for secret in ("ya29", "a-developer-token", "secret-1", "refresh-1"):
        assert secret not in said


async def test_a_call_without_a_deadline_does_not_leave(here: UnderTest) -> None:
    clients = Clients(access_of(here.others["sandbox"].credentials()))
    clients.headers.token = Secret("x")
    try:
        request = SearchGoogleAdsStreamRequest(customer_id="1", query="SELECT")
        with pytest.raises(RuntimeError, match="a deadline wanted, found none"):
            await clients.ads.search_stream(request=request, retry=None, timeout=None)
    finally:
        await clients.aclose()
    assert here.others["sandbox"].heard == []


async def test_to_close_the_adapter_ends_its_calls_without_cancelling_who_waits(
    here: UnderTest,
) -> None:
    here.faults.plan(Call.APPLY, Trouble.SILENT)
    here.faults.plan(Call.INSPECT, Trouble.SILENT)
    calls = [
        asyncio.ensure_future(here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])),
        asyncio.ensure_future(here.platform.inspect([here.bid])),
    ]
    await wait_until(lambda: len(here.faults.taken) == 2, what="both calls to be taken")
    await here.platform.aclose()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in ended] == [PlatformUnavailableError] * 2


async def test_a_report_may_take_longer_than_a_call(here: UnderTest) -> None:
    credentials = here.others["sandbox"].credentials(login_customer_id="9990000000")
    platform = GoogleAds(access=access_of(credentials), call_timeout_s=10.0, report_timeout_s=0.2)
    try:
        here.faults.plan(Call.REPORT, Trouble.SILENT)
        with pytest.raises(PlatformUnavailableError, match="DEADLINE_EXCEEDED"):
            async for _ in platform.report(here.ad_account, since=0.0, until=3600.0):
                pass
    finally:
        await platform.aclose()


FIELDS = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}


def credentials(**changed: str) -> Credentials:
    given = {name: Secret(text) for name, text in (FIELDS | changed).items() if text}
    return Credentials("google", given, source="google.yaml")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"refresh_token": ""}, "refresh_token or service_account wanted, found client_id, client"),
        ({"client_secret": ""}, "client_secret wanted, found client_id, refresh_token"),
        ({"clinet_id": "x"}, "found 'clinet_id'"),
        ({"login_customer_id": "123"}, "login_customer_id: ten digits wanted, found '123'"),
        ({"access_level": "gold"}, "one of test, explorer, basic, standard wanted, found 'gold'"),
        ({"endpoint": "http://googleads.example.com"}, "https, as tokens travel there, wanted"),
        ({"endpoint": "ftp://127.0.0.1"}, "https://host:port wanted, found 'ftp://127.0.0.1'"),
        ({"service_account": "{}"}, "a key of a service account in JSON wanted"),
        ({"service_account": '{"private_key": "s3cret"}'}, "a key of a service account in JSON"),
    ],
)
def test_credentials_that_do_not_do_are_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(PlatformCredentialsError) as caught:
        make_platform("google", credentials(**changed), clock=ManualClock())
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "host", "is_plain"),
    [
        ("", "googleads.googleapis.com:443", False),
        ("https://127.0.0.1:7000", "127.0.0.1:7000", False),
        ("localhost:7000", "localhost:7000", False),
        ("http://127.0.0.1:7000", "127.0.0.1:7000", True),
    ],
)
def test_where_google_is(endpoint: str, host: str, is_plain: bool) -> None:
    access = access_of(credentials(endpoint=endpoint))
    assert (access.host, access.is_plain) == (host, is_plain)


@pytest.mark.parametrize(
    ("level", "operations"), [("", 2_880), ("basic", 15_000), ("Standard", None)]
)
async def test_the_quota_is_that_of_the_access_level(level: str, operations: int | None) -> None:
    platform = make_platform("google", credentials(access_level=level), clock=ManualClock())
    assert platform.limits.operations_per_day == operations


def test_a_login_customer_id_may_be_written_with_dashes() -> None:
    assert access_of(credentials(login_customer_id="123-456-7890")).login_customer_id == (
        "1234567890"
    )
