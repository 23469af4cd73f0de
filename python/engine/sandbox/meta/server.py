"""The local Meta: edges by pages, insights by hour, batches of changes, on this machine only."""

import hashlib
import hmac
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.clock import Clock
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.port import Lever
from engine.sandbox.faults import Call, Fault, Faults
from engine.sandbox.hourly import HourOf, hours_of
from engine.sandbox.http import Request, Response, json_response
from engine.sandbox.meta.failures import error_of, of_quota, of_trouble, refuse, usage
from engine.sandbox.meta.nodes import LEVELS, account_node, moves_of, node_of
from engine.sandbox.quotas import Quota, Refusal
from engine.sandbox.service import HttpSandbox, Refused, Work
from engine.sandbox.state import Account, Books, Entity, Level

__all__ = ["MetaSandbox"]

_MOST_OF_A_BATCH = 50
_MOST_OF_A_PAGE = 500
_BUDGET_CHANGES = 4  # of an ad set in an hour; then none for an hour
_HOUR_S = 3600.0


class MetaSandbox(HttpSandbox):
    """Meta's Marketing API over books. Ad accounts are named act_123 there."""

    def __init__(
        self,
        *,
        books: Books,
        clock: Clock,
        faults: Faults | None = None,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(books=books, clock=clock, faults=faults, quota=quota)
        self.tokens = {"EAAsandbox-1"}
        self.app_secret = "app-secret-1"
        self._budgets_moved: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._blocked_until: dict[tuple[str, str], float] = {}

    def credentials(self, **changed: str) -> Credentials:
        """Return credentials that it accepts, some of them changed ("": left out)."""
        fields = {
            "access_token": "EAAsandbox-1",
            "app_secret": self.app_secret,
            "access_level": "standard",
            "endpoint": self.endpoint,
        } | changed
        given = {name: Secret(value) for name, value in fields.items() if value}
        return Credentials("meta", given, source="the sandbox")

    def of_trouble(self, fault: Fault) -> Response:
        return of_trouble(fault)

    def of_quota(self, refusal: Refusal) -> Response:
        return of_quota(refusal)

    def work(self, request: Request) -> Work:
        self._authenticate(request)
        if request.method == "POST" and request.path == "/":
            batch = json.loads(request.form.get("batch", "null"))
            if not isinstance(batch, list):
                raise refuse(100, "batch parameter must be a JSON array")
            if len(batch) > _MOST_OF_A_BATCH:
                raise refuse(3, "Too many requests in batch message. Maximum batch size is 50")
            return Call.APPLY, len(batch), lambda: self._batch(batch)
        _, version, *path = request.path.split("/")
        if request.method != "GET" or not version.startswith("v") or not path:
            raise refuse(2500, "Unknown path components")
        if path == ["me", "adaccounts"]:
            return Call.ACCOUNTS, 1, lambda: self._accounts(request)
        account = self._admit(path[0])
        match path[1:]:
            case []:
                return Call.ACCOUNTS, 1, lambda: json_response(account_node(account))
            case ["insights"]:
                return Call.REPORT, 1, lambda: self._insights(request, account)
            case [("adsets" | "campaigns") as kind]:
                return Call.INSPECT, 1, lambda: self._nodes(request, account, kind)
            case _:
                raise refuse(2500, "Unknown path components")

    def _authenticate(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            said = f"Malformed access token {token}" if token else "An access token is required"
            raise Refused(error_of(190, said, status=401))
        proof = hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.query.get("appsecret_proof", ""), proof):
            raise refuse(100, "Invalid appsecret_proof provided in the API argument")

    def _admit(self, name: str) -> Account:
        account = self.account(name)
        if account is None:
            said = f"Unsupported get request. Object with ID '{name}' does not exist"
            raise refuse(100, said, subcode=33)
        return account

    def _accounts(self, request: Request) -> Response:
        found = [account_node(each) for each in self.books.accounts() if not each.is_manager]
        return _page(request, found, self.endpoint)

    def _nodes(self, request: Request, account: Account, kind: str) -> Response:
        wanted: set[str] | None = None
        for each in json.loads(request.query.get("filtering", "[]")):
            if each["field"] != f"{kind.removesuffix('s')}.id" or each["operator"] != "IN":
                raise refuse(100, f"Filtering field {each['field']} is invalid")
            wanted = set(each["value"])
        fields = _fields(request.query.get("fields", "id"))
        found = [
            _chosen(node_of(self.books, account, each), fields)
            for each in self.books.entities(account.id, LEVELS[kind])
            if not each.is_removed and (wanted is None or each.id in wanted)
        ]
        return _page(request, found, self.endpoint, headers=usage(account.id, used=1))

    def _insights(self, request: Request, account: Account) -> Response:
        query = request.query
        span = json.loads(query["time_range"])
        level = query.get("level", "")
        if query.get("breakdowns") != "hourly_stats_aggregated_by_advertiser_time_zone":
            raise refuse(100, "breakdowns must be one of the following values")
        of = {"adset": Level.GROUP, "campaign": Level.CAMPAIGN}.get(level)
        if of is None:
            raise refuse(100, "level must be one of the following values: ad, adset, campaign")
        first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
        found = [
            _insight(level, each)
            for each in hours_of(self.books, account, of, first=first, last=last)
        ]
        return _page(request, found, self.endpoint)

    def _batch(self, batch: Sequence[Mapping[str, str]]) -> Response:
        answers: list[object] = []
        for item in batch:
            try:
                response = self._change(item)
            except Refused as refused:
                response = refused.response
            headers = [{"name": n, "value": v} for n, v in response.headers.items()]
            answers.append(
                {"code": response.status, "headers": headers, "body": response.body.decode()}
            )
        return json_response(answers)

    def _change(self, item: Mapping[str, str]) -> Response:
        parts = urlsplit(item["relative_url"]).path.strip("/").split("/")
        form = dict(parse_qsl(item.get("body", "")))
        account, entity = self._node(parts[-1])
        moves = moves_of(self.books, account, entity, form)
        is_dry_run = "validate_only" in form.get("execution_options", "")
        if any(move.lever is Lever.DAILY_BUDGET for move in moves):
            self._count_budget(account, entity, is_dry_run=is_dry_run)
        if not is_dry_run:
            for move in moves:
                self.books.move(account.id, entity.level, entity.id, move.lever, move.value)
        return json_response({"success": True}, headers=usage(account.id, used=1))

    def _node(self, number: str) -> tuple[Account, Entity]:
        for account in self.books.accounts():
            for level in LEVELS.values():
                entity = self.books.entity(account.id, level, number)
                if entity is not None and not entity.is_removed:
                    return account, entity
        said = f"Unsupported post request. Object with ID '{number}' does not exist"
        raise refuse(100, said, subcode=33)

    def _count_budget(self, account: Account, entity: Entity, *, is_dry_run: bool) -> None:
        """Refuse a change of an ad set's budget too many, and then all for an hour."""
        key, now = (account.id, entity.id), self.clock.now()
        moved = self._budgets_moved[key]
        while moved and moved[0] <= now - _HOUR_S:
            moved.popleft()
        if now < self._blocked_until.get(key, 0.0) or len(moved) >= _BUDGET_CHANGES:
            self._blocked_until.setdefault(key, now + _HOUR_S)
            if now >= self._blocked_until[key]:
                self._blocked_until[key] = now + _HOUR_S
            said = "Ad set budget changes are limited to 4 an hour"
            raise Refused(error_of(613, said, subcode=1_487_632))
        if not is_dry_run:
            moved.append(now)


def _page(
    request: Request,
    found: Sequence[object],
    endpoint: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a page of what was found; its cursor is opaque to others, and here a number."""
    limit = min(int(request.query.get("limit", "25")), _MOST_OF_A_PAGE)
    after = request.query.get("after", "")
    start = int(after.removeprefix("c")) if after else 0
    body: dict[str, Any] = {"data": list(found[start : start + limit])}
    if found:
        body["paging"] = {"cursors": {"before": f"c{start}", "after": f"c{start + limit}"}}
    if start + limit < len(found):
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        body["paging"]["next"] = f"{endpoint}{request.path}?access_token={token}&after=…"
    return json_response(body, headers=headers)


def _fields(text: str) -> dict[str, str]:
    """Return the fields asked for, with those asked of what is within: a{b,c}."""
    found: dict[str, str] = {}
    depth, name, within = 0, "", ""
    for sign in f"{text},":
        if sign == "," and depth == 0:
            found[name] = within
            name = within = ""
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
        elif depth:
            within += sign
        else:
            name += sign
    return found


def _chosen(node: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: _chosen(node[name], _fields(within)) if within else node[name]
        for name, within in fields.items()
        if name in node
    }


def _insight(level: str, did: HourOf) -> dict[str, Any]:
    """Return a row as Meta writes it: numbers as texts, what is nothing left out."""
    row: dict[str, Any] = {
        f"{level}_id": did.entity,
        "impressions": f"{did.impressions}",
        "spend": f"{did.spend_micros / 1e6:.2f}".rstrip("0").rstrip("."),
        "date_start": f"{did.day}",
        "date_stop": f"{did.day}",
        "hourly_stats_aggregated_by_advertiser_time_zone": (
            f"{did.hour:02}:00:00 - {did.hour:02}:59:59"
        ),
    }
    if did.clicks:
        row["inline_link_clicks"] = f"{did.clicks}"
        row["actions"] = [{"action_type": "link_click", "value": f"{did.clicks}"}]
    if did.milliconversions:
        value = f"{did.milliconversions / 1000:g}"
        row.setdefault("actions", []).append({"action_type": "omni_purchase", "value": value})
        row["actions"].append({"action_type": "purchase", "value": value})
    if did.revenue_micros:
        value = f"{did.revenue_micros / 1e6:.2f}"
        row["action_values"] = [{"action_type": "omni_purchase", "value": value}]
    return row
