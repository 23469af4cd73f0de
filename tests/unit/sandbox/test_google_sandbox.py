"""The local Google Ads: Google's own client finds nothing amiss, and the traps are Google's."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.types import campaign_service as messages

from engine.clock import SystemClock
from engine.platforms.port import Lever
from engine.sandbox.google.server import GoogleSandbox
from engine.sandbox.quotas import Quota, Refusal
from engine.sandbox.state import Level, MemoryBooks, Move
from engine.sandbox.tls import make_certificates
from support.clock import ManualClock
from support.platforms import furnish_google

ACCOUNT = "1234567890"
MUTATE = "/google.ads.googleads.v26.services.CampaignService/MutateCampaigns"
FAILURE = "google.ads.googleads.v26.errors.googleadsfailure-bin"

OFFICIAL = """
import sys
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.api_core.exceptions import ResourceExhausted
from google.oauth2.credentials import Credentials
from google.protobuf.field_mask_pb2 import FieldMask

endpoint, token_uri = sys.argv[1:]
credentials = Credentials(
    None, refresh_token="refresh-1", client_id="client-1", client_secret="secret-1",
    token_uri=token_uri,
)
client = GoogleAdsClient(
    credentials, developer_token="x", login_customer_id="9990000000", endpoint=endpoint,
    version="v26", use_proto_plus=True,
)
ads = client.get_service("GoogleAdsService")
query = (
    "SELECT campaign.id, campaign.status, campaign.bidding_strategy_type,"
    " campaign.target_cpa.target_cpa_micros FROM campaign WHERE campaign.id IN (1, 2)"
)
for part in ads.search_stream(customer_id="1234567890", query=query):
    for row in part.results:
        print(
            row.campaign.id, row.campaign.status.name, row.campaign.bidding_strategy_type.name,
            row.campaign.target_cpa.target_cpa_micros, ",".join(part.field_mask.paths[:1]),
        )
try:
    list(ads.search_stream(customer_id="1234567890", query="SELECT campaign.named FROM campaign"))
except GoogleAdsException as error:
    [one] = error.failure.errors
    print(error.error.code().name, one.error_code.query_error.name, bool(error.request_id))

def update(micros, **more):
    service = client.get_service("CampaignService")
    operation = client.get_type("CampaignOperation")
    operation.update.resource_name = service.campaign_path("1234567890", "2")
    operation.update.target_cpa.target_cpa_micros = micros
    operation.update_mask = FieldMask(paths=["target_cpa.target_cpa_micros"])
    request = client.get_type("MutateCampaignsRequest")
    request.customer_id = "1234567890"
    request.operations.append(operation)
    for name, value in more.items():
        setattr(request, name, value)
    return service.mutate_campaigns(request=request)

print([result.resource_name for result in update(19_000_000).results])
print(len(update(17_000_000, validate_only=True).results))
try:
    update(19_000_001)
except GoogleAdsException as error:
    [one] = error.failure.errors
    path = [(e.field_name, e.index) for e in one.location.field_path_elements]
    print(one.error_code.currency_error.name, path)
partial = update(19_000_001, partial_failure=True).partial_failure_error
failure = client.get_type("GoogleAdsFailure")
print(partial.code, type(failure).deserialize(partial.details[0].value).errors[0].message)
"""


@pytest.fixture
async def sandbox() -> AsyncIterator[GoogleSandbox]:
    books, clock = MemoryBooks(), ManualClock()
    furnish_google(books)
    async with GoogleSandbox(books=books, clock=clock) as server:
        server.books = books  # type: ignore[attr-defined] # for the tests of this file
        yield server


async def test_googles_own_client_over_tls_finds_nothing_amiss(tmp_path: Path) -> None:
    books = MemoryBooks()
    furnish_google(books)
    certificates = make_certificates(clock=SystemClock())
    roots = tmp_path / "roots.pem"
    roots.write_bytes(certificates.ca)
    async with GoogleSandbox(
        books=books, clock=SystemClock(), certificates=certificates
    ) as sandbox:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            "-c",
            OFFICIAL,
            f"localhost:{sandbox.port}",
            f"http://127.0.0.1:{sandbox.tokens.port}/token",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots)},
        )
        async with asyncio.timeout(100):
            said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    assert said.decode().splitlines() == [
        "1 ENABLED MANUAL_CPC 0 campaign.id",
        "2 ENABLED TARGET_CPA 20000000 campaign.id",
        "INVALID_ARGUMENT UNRECOGNIZED_FIELD True",
        "['customers/1234567890/campaigns/2']",
        "0",
        "VALUE_NOT_MULTIPLE_OF_BILLABLE_UNIT [('operations', 0), ('update', 0),"
        " ('target_cpa', 0), ('target_cpa_micros', 0)]",
        "3 A multiple of 10000, found 19000001.",
    ]
    assert books.moves == [
        Move(ACCOUNT, Level.CAMPAIGN, "2", Lever.TARGET_CPA, 20_000_000, 19_000_000)
    ]


async def ask(sandbox: GoogleSandbox, *operations: object, **more: bool) -> object:
    """Return the answer to a mutation of campaigns; a failure's codes where it is refused."""
    request = messages.MutateCampaignsRequest.pb()(
        customer_id=ACCOUNT, operations=operations, **more
    )
    sandbox.tokens._good_until["t"] = 1e12
    headers = (("authorization", "Bearer t"), ("login-customer-id", "9990000000"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sandbox.port}") as channel:
        method = channel.unary_unary(
            MUTATE,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages.MutateCampaignsResponse.pb().FromString,
        )
        try:
            return await method(request, metadata=headers, timeout=10)
        except grpc.aio.AioRpcError as error:
            payload = dict(error.trailing_metadata())[FAILURE]
            failure = GoogleAdsFailure.pb().FromString(payload)
            return [_code(each) for each in failure.errors]


def _code(error: object) -> str:
    codes = error.error_code  # type: ignore[attr-defined] # a generated message
    category = codes.WhichOneof("error_code")
    enum = codes.DESCRIPTOR.fields_by_name[category].enum_type
    return str(enum.values_by_number[getattr(codes, category)].name)


def update(number: int, *paths: str, micros: int = 20_000_000, status: int = 0) -> object:
    operation = messages.CampaignOperation.pb()()
    operation.update.resource_name = f"customers/{ACCOUNT}/campaigns/{number}"
    if status:
        operation.update.status = status
    for path in paths:
        if path.endswith("target_cpa_micros"):
            getattr(operation.update, path.split(".")[0]).target_cpa_micros = micros
    operation.update_mask.paths.extend(paths)
    return operation


async def test_the_target_of_another_strategy_switches_the_strategy(
    sandbox: GoogleSandbox,
) -> None:
    books: MemoryBooks = sandbox.books  # type: ignore[attr-defined] # set by the fixture
    await ask(sandbox, update(8, "maximize_conversions.target_cpa_micros"))
    campaign = books.entity(ACCOUNT, Level.CAMPAIGN, "8")
    assert campaign is not None
    assert (campaign.strategy, campaign.portfolio) == ("MAXIMIZE_CONVERSIONS", "")


@pytest.mark.parametrize(
    ("operations", "codes"),
    [
        ([], ["REQUIRED_FIELD_MISSING"]),
        (
            [update(1, "status", status=3), update(1, "status", status=2)],
            ["ID_EXISTS_IN_MULTIPLE_MUTATES"] * 2,
        ),
        ([update(404, "status", status=3)], ["RESOURCE_NOT_FOUND"]),
        ([update(9, "status", status=3)], ["OPERATION_NOT_PERMITTED_FOR_REMOVED_RESOURCE"]),
        ([update(1)], ["FIELD_MASK_MISSING"]),
        ([update(1, "statsu")], ["FIELD_NOT_FOUND"]),
        ([update(1, "id")], ["IMMUTABLE_FIELD"]),
        ([update(1, "status", status=4)], ["INVALID_ENUM_VALUE"]),
        ([update(2, "target_cpa.target_cpa_micros", micros=0)], ["BID_TOO_SMALL"]),
        ([update(2, "target_cpa.target_cpa_micros", micros=10**17)], ["BID_TOO_BIG"]),
        ([messages.CampaignOperation.pb()(remove="x")], ["MUTATE_NOT_ALLOWED"]),
    ],
)
async def test_what_google_would_refuse_is_refused_in_its_words(
    sandbox: GoogleSandbox, operations: list[object], codes: list[str]
) -> None:
    assert await ask(sandbox, *operations) == codes


async def test_without_partial_failure_one_bad_operation_stops_all(sandbox: GoogleSandbox) -> None:
    books: MemoryBooks = sandbox.books  # type: ignore[attr-defined] # set by the fixture
    good, bad = update(1, "status", status=3), update(404, "status", status=3)
    assert await ask(sandbox, good, bad) == ["RESOURCE_NOT_FOUND"]
    assert books.moves == []
    await ask(sandbox, good, bad, partial_failure=True)
    assert [move.entity for move in books.moves] == ["1"]


async def test_a_days_quota_is_renewed_at_midnight_of_its_time_zone() -> None:
    clock = ManualClock(now=1_772_434_800.0)  # 2026-03-02 07:00 UTC: 23:00 in Los Angeles
    quota = Quota(clock=clock, per_day=10, timezone="America/Los_Angeles")
    assert quota.take(10) is None
    refusal = quota.take(1)
    assert refusal is not None
    assert refusal.is_of_the_day
    assert refusal.retry_after_s == 3600
    await clock.advance(3600)
    assert quota.take(10) is None


async def test_a_quota_without_a_day_counts_the_last_24_hours() -> None:
    clock = ManualClock()
    quota = Quota(clock=clock, per_day=10, timezone=None)
    assert quota.take(6) is None
    await clock.advance(3600)
    assert quota.take(4) is None
    assert [quota.take(n) for n in (1, 7)] == [Refusal(True, 82_800.0), Refusal(True, 86_400.0)]
    await clock.advance(82_800)
    assert quota.used == 4
    assert quota.take(6) is None


async def test_calls_too_many_a_second_wait_for_their_turn() -> None:
    clock = ManualClock()
    quota = Quota(clock=clock, per_second=2.0, burst=3.0)
    assert [quota.take(1) is None for _ in range(4)] == [True, True, True, False]
    refusal = quota.take(1)
    assert refusal is not None
    assert not refusal.is_of_the_day
    assert refusal.retry_after_s == pytest.approx(0.5)
    await clock.advance(0.5)
    assert quota.take(1) is None
    assert quota.used == 4


async def test_the_server_binds_this_machine_only(sandbox: GoogleSandbox) -> None:
    assert sandbox.endpoint == f"http://127.0.0.1:{sandbox.port}"
    lines = [
        line.split()
        for family in ("tcp", "tcp6")  # gRPC has one socket for both: ::ffff:127.0.0.1
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]
    ]
    for port in (sandbox.port, sandbox.tokens.port):
        bound = {line[1] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"}
        assert bound
        assert all("0100007F" in address for address in bound)
