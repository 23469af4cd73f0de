"""The local TikTok: lists by pages, reports by hour, changes call by call, on this machine only."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from engine.clock import Clock
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.port import Lever
from engine.sandbox.faults import Call, Fault, Faults
from engine.sandbox.hourly import HourOf, hours_of
from engine.sandbox.http import Request, Response
from engine.sandbox.quotas import Quota, Refusal
from engine.sandbox.service import HttpSandbox, Work
from engine.sandbox.state import Account, Books
from engine.sandbox.tiktok.failures import answer_of, of_quota, of_trouble, refuse
from engine.sandbox.tiktok.rows import LEVELS, info_of, row_of, update

__all__ = ["TikTokSandbox"]

_PREFIX = "/open_api/v1.3/"
_MOST_OF_A_PAGE = 1000
_MOST_STATUSES = 20
_METRICS = {"impressions", "clicks", "spend", "conversion", "total_complete_payment_rate"}


class TikTokSandbox(HttpSandbox):
    """TikTok's Business API over books."""

    def __init__(
        self,
        *,
        books: Books,
        clock: Clock,
        faults: Faults | None = None,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(books=books, clock=clock, faults=faults, quota=quota)
        self.tokens = {"ttsandbox-1"}
        self.app = ("app-1", "app-secret-1")

    def credentials(self, **changed: str) -> Credentials:
        """Return credentials that it accepts, some of them changed ("": left out)."""
        fields = {
            "access_token": "ttsandbox-1",
            "app_id": self.app[0],
            "app_secret": self.app[1],
            "endpoint": self.endpoint,
        } | changed
        given = {name: Secret(value) for name, value in fields.items() if value}
        return Credentials("tiktok", given, source="the sandbox")

    def of_trouble(self, fault: Fault) -> Response:
        return of_trouble(fault)

    def of_quota(self, refusal: Refusal) -> Response:
        return of_quota(refusal)

    def work(self, request: Request) -> Work:
        token = request.headers.get("access-token", "")
        if token not in self.tokens:
            raise refuse(40_105, f"Access token is incorrect or has been revoked: {token}.")
        path = request.path.removeprefix(_PREFIX).strip("/")
        match request.method, path:
            case "GET", "oauth2/advertiser/get":
                return Call.ACCOUNTS, 1, lambda: self._advertisers(request)
            case "GET", "advertiser/info":
                return Call.ACCOUNTS, 1, lambda: self._infos(request)
            case "GET", "report/integrated/get":
                account = self._admit(request.query)
                return Call.REPORT, 1, lambda: self._report(request, account)
            case "GET", "adgroup/get" | "campaign/get":
                account = self._admit(request.query)
                name = path.partition("/")[0]
                return Call.INSPECT, 1, lambda: self._list(request, account, name)
            case "POST", "adgroup/update" | "campaign/update":
                body = json.loads(request.body)
                account = self._admit(body)
                name = path.partition("/")[0]
                return Call.APPLY, 1, lambda: update(self.books, account, name, body)
            case "POST", "adgroup/status/update" | "campaign/status/update":
                body = json.loads(request.body)
                account = self._admit(body)
                name = path.partition("/")[0]
                return Call.APPLY, 1, lambda: self._statuses(account, name, body)
            case _:
                raise refuse(40_000, f"Unknown path {request.path}.")

    def _admit(self, asked: Mapping[str, Any]) -> Account:
        account = self.account(str(asked.get("advertiser_id", "")))
        if account is None:
            raise refuse(40_001, "No permission to operate advertiser.")
        return account

    def _advertisers(self, request: Request) -> Response:
        if (request.query.get("app_id"), request.query.get("secret")) != self.app:
            raise refuse(40_101, "The app_id and the secret do not match.")
        found = [
            {"advertiser_id": each.id, "advertiser_name": each.name}
            for each in self.books.accounts()
        ]
        return answer_of({"list": found})

    def _infos(self, request: Request) -> Response:
        wanted = json.loads(request.query["advertiser_ids"])
        accounts = [self._admit({"advertiser_id": each}) for each in wanted]
        return answer_of({"list": [info_of(account) for account in accounts]})

    def _list(self, request: Request, account: Account, name: str) -> Response:
        filtering = json.loads(request.query.get("filtering", "{}"))
        wanted = filtering.get(f"{name}_ids")
        if wanted is not None and len(wanted) > 100:
            raise refuse(40_002, f"{name}_ids: the max length is 100.")
        fields = json.loads(request.query.get("fields", "[]"))
        rows = [
            row_of(self.books, account, each)
            for each in self.books.entities(account.id, LEVELS[name])
            if not each.is_removed and (wanted is None or each.id in wanted)
        ]
        if unknown := {field for row in rows for field in fields if field not in row}:
            raise refuse(40_002, f"fields: invalid value {sorted(unknown)[0]}.")
        return _page(request, [{f: row[f] for f in fields} if fields else row for row in rows])

    def _report(self, request: Request, account: Account) -> Response:
        query = request.query
        name = query.get("data_level", "").removeprefix("AUCTION_").lower()
        if name not in LEVELS or query.get("report_type") != "BASIC":
            raise refuse(40_002, "data_level: invalid value.")
        if json.loads(query["dimensions"]) != [f"{name}_id", "stat_time_hour"]:
            raise refuse(40_002, "dimensions: invalid value.")
        metrics = json.loads(query["metrics"])
        if unknown := set(metrics) - _METRICS:
            raise refuse(40_002, f"metrics: invalid value {sorted(unknown)[0]}.")
        first, last = (date.fromisoformat(query[f"{end}_date"]) for end in ("start", "end"))
        if first != last:
            raise refuse(40_002, "With stat_time_hour the max time span is 1 day.")
        hours = hours_of(self.books, account, LEVELS[name], first=first, last=last)
        return _page(request, [_metrics(name, each, metrics) for each in hours])

    def _statuses(self, account: Account, name: str, body: Mapping[str, Any]) -> Response:
        ids = [str(each) for each in body.get(f"{name}_ids", [])]
        if not 1 <= len(ids) <= _MOST_STATUSES:
            raise refuse(40_002, f"{name}_ids: the length must be 1-20.")
        if body.get("operation_status") not in {"ENABLE", "DISABLE"}:
            raise refuse(40_002, "operation_status: invalid value.")
        found = [self.books.entity(account.id, LEVELS[name], each) for each in ids]
        for number, entity in zip(ids, found, strict=True):
            if entity is None or entity.is_removed:
                raise refuse(40_002, f"{name} {number} doesn't exist.")
        value = float(body["operation_status"] == "ENABLE")
        for number in ids:
            self.books.move(account.id, LEVELS[name], number, Lever.SERVING, value)
        return answer_of({f"{name}_ids": ids, "status": body["operation_status"]})


def _page(request: Request, rows: Sequence[object]) -> Response:
    page, size = (int(request.query.get(n, d)) for n, d in (("page", "1"), ("page_size", "10")))
    if not 1 <= size <= _MOST_OF_A_PAGE:
        raise refuse(40_002, "page_size: the range is 1-1000.")
    info = {
        "page": page,
        "page_size": size,
        "total_number": len(rows),
        "total_page": -(-len(rows) // size),
    }
    return answer_of({"list": list(rows[(page - 1) * size : page * size]), "page_info": info})


def _metrics(name: str, did: HourOf, metrics: Sequence[str]) -> dict[str, Any]:
    """Return a row as TikTok writes it: numbers as texts."""
    told = {
        "impressions": f"{did.impressions}",
        "clicks": f"{did.clicks}",
        "spend": f"{did.spend_micros / 1e6:.2f}",
        "conversion": f"{did.milliconversions / 1000:g}",
        "total_complete_payment_rate": f"{did.revenue_micros / 1e6:.2f}",
    }
    at = f"{did.day} {did.hour:02}:00:00"
    return {
        "dimensions": {f"{name}_id": did.entity, "stat_time_hour": at},
        "metrics": {metric: told[metric] for metric in metrics},
    }
