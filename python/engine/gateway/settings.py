"""What can be set on a gateway: on the process, and of the ad accounts in a file of their own."""

from pathlib import PurePath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.domain.ids import is_ad_account, is_platform
from engine.errors import ConfigError
from engine.gateway.breaker import BreakerSettings
from engine.gateway.gate import GateSettings
from engine.messaging.identity import IdentitySettings

__all__ = [
    "AccountSettings",
    "Accounts",
    "GatewaySettings",
    "ReadinessSettings",
    "accounts_of",
    "go_live",
]

_Positive = Annotated[float, Meta(gt=0, description="a number above 0")]
_AtLeast0 = Annotated[float, Meta(ge=0, description="a number from 0")]
_Share = Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")]
_Count = Annotated[int, Meta(gt=0, description="a whole number above 0")]
_Count0 = Annotated[int, Meta(ge=0, description="a whole number from 0")]
_Text = Annotated[str, Meta(description="a text")]
_Switch = Annotated[bool, Meta(description="true or false")]


class ReadinessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must be known of an entity before it is steered, over the look-back of reports."""

    clicks: Annotated[_Count0, Meta(title="Clicks")] = 100
    conversions: Annotated[_Count0, Meta(title="Conversions")] = 5
    tracking: Annotated[
        _Positive,
        Meta(title="Silent for so many times the usual gap between conversions: tracking is dead"),
    ] = 4.0
    least: Annotated[_Share, Meta(title="Least score of the three together")] = 0.5


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One ad account of one platform."""

    platform: Annotated[_Text, Meta(title="Name of the adapter: google, meta, tiktok or your own")]
    ad_account: Annotated[_Text, Meta(title="Its id there")]
    live: Annotated[_Switch, Meta(title="Changes are sent for real; false: dry run")] = False
    credentials: (
        Annotated[
            _Text, Meta(title="File of credentials, beside this one; else from the environment")
        ]
        | None
    ) = None
    group: Annotated[_Text, Meta(title="Ad accounts of one group are always with one gateway")] = ""
    operations_a_day: (
        Annotated[_Count, Meta(title="The purse; else its share of the platform's limit")] | None
    ) = None
    reserve: Annotated[_Share, Meta(title="Part of the purse for emergency stops")] = 0.05
    operations_per_second: (
        Annotated[_Positive, Meta(title="How fast changes are sent; else the platform's")] | None
    ) = None
    batch: Annotated[_Count, Meta(title="Changes in a request; else the platform's")] | None = None
    budgets: Annotated[_Switch, Meta(title="Daily budgets are moved too")] = True
    off_after: Annotated[
        _AtLeast0, Meta(title="Seconds without a bid until an entity is paused")
    ] = 300.0
    poll_every: Annotated[_Positive, Meta(title="Seconds between reports")] = 900.0
    cell: Annotated[_Positive, Meta(title="Seconds that one sample is of")] = 3600.0
    report_delay: (
        Annotated[_AtLeast0, Meta(title="Seconds that reports are behind; else the platform's")]
        | None
    ) = None
    look_back_days: (
        Annotated[_Positive, Meta(title="Days for which reports are restated; else the platform's")]
        | None
    ) = None
    time_out: Annotated[_Positive, Meta(title="Seconds that one call may take")] = 30.0
    readiness: ReadinessSettings = ReadinessSettings()

    @property
    def key(self) -> str:
        """Return by what it is assigned to a gateway."""
        return f"group {self.group}" if self.group else f"{self.platform}/{self.ad_account}"


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file: ad accounts, and what holds for all of them."""

    accounts: list[AccountSettings]
    gate: GateSettings = GateSettings()
    breaker: BreakerSettings = BreakerSettings()


class GatewaySettings(IdentitySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The descriptions are what an error message says was wanted."""

    name: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]{1,64}$",
                description="a name of 1 to 64 of A-Z a-z 0-9 _ - such as g1",
            ),
        ]
        | None
    ) = None  # None: host and process id
    accounts: Annotated[str, Meta(min_length=1, description="a file such as gateway.yaml")] = (
        "gateway.yaml"
    )
    nats: (
        Annotated[
            str,
            Meta(
                pattern=r"^(nats|tls)://[^\s]+$",
                description="a URL such as nats://127.0.0.1:4222",
            ),
        ]
        | None
    ) = None
    interval: Annotated[
        float, Meta(ge=0.02, le=3600, description="seconds such as 2 (0.02 to 3600)")
    ] = 2.0  # between two looks at what is to be changed
    grace: Annotated[float, Meta(ge=0, le=3600, description="seconds such as 15 (0 to 3600)")] = (
        15.0  # for a stop: the request in hand and its outcome
    )
    patience: Annotated[
        float, Meta(ge=0, le=86_400, description="seconds such as 30 (0 to 86400)")
    ] = 30.0
    health: (
        Annotated[
            str,
            Meta(
                pattern=r"^([^\s:]*|\[[0-9a-fA-F:]+\]):\d{1,5}$",
                description="an address such as 127.0.0.1:8081 or :8081 (this machine only)",
            ),
        ]
        | None
    ) = None
    metrics_port: (
        Annotated[
            str,
            Meta(
                pattern=r"^(([^\s:]*|\[[0-9a-fA-F:]+\]):)?\d{1,5}$",
                description="a port such as 9464 (this machine only), or an address such as "
                "0.0.0.0:9464",
            ),
        ]
        | None
    ) = None  # where /metrics answers; None: nowhere
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="one of debug, info, warning, error"),
    ] = "info"


def accounts_of(content: Any, *, file: str) -> Accounts:  # noqa: ANN401 - whatever a file holds
    """Return the ad accounts in the content of a file. Raises ConfigError, in one line."""
    try:
        found = msgspec.convert(content, Accounts)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$.")
        where = f": {path.rstrip('`')}" if path else ""
        raise ConfigError(f"{file}{where}: {_lower(words)}") from None
    if not found.accounts:
        raise ConfigError(f"{file}: accounts: at least one ad account, found none")
    seen: set[tuple[str, str]] = set()
    for i, one in enumerate(found.accounts):
        where = f"{file}: accounts[{i}]"
        if not is_platform(one.platform):
            raise ConfigError(f"{where}.platform: a name such as google, found {one.platform!r}")
        if not is_ad_account(one.ad_account):
            wanted = "1 to 64 of A-Z a-z 0-9 _ -"
            raise ConfigError(f"{where}.ad_account: {wanted}, found {one.ad_account!r}")
        if (one.platform, one.ad_account) in seen:
            raise ConfigError(f"{where}: each ad account once, found {one.ad_account!r} twice")
        seen.add((one.platform, one.ad_account))
    folder = PurePath(file).parent
    return msgspec.structs.replace(
        found, accounts=[_located(one, folder) for one in found.accounts]
    )


def go_live(accounts: Accounts, wanted: list[str]) -> Accounts:
    """Return the accounts with those live that are named (`123` or `google/123`) beside the file's.

    Raises ConfigError for a name that is not in the file.
    """
    names = {f"{one.platform}/{one.ad_account}" for one in accounts.accounts}
    live: set[str] = set()
    for name in wanted:
        found = [known for known in names if name in (known, known.partition("/")[2])]
        if len(found) != 1:
            few = ", ".join(sorted(names))
            raise ConfigError(f"--live: one ad account of the file ({few}), found {name!r}")
        live.add(found[0])
    return msgspec.structs.replace(
        accounts,
        accounts=[
            msgspec.structs.replace(
                one, live=one.live or f"{one.platform}/{one.ad_account}" in live
            )
            for one in accounts.accounts
        ],
    )


def _located(one: AccountSettings, folder: PurePath) -> AccountSettings:
    """Return an ad account whose credentials are looked for beside the file that names them."""
    if one.credentials is None:
        return one
    return msgspec.structs.replace(one, credentials=str(folder / one.credentials))


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]
