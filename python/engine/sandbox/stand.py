"""Local ad platforms as a service: servers, a market behind them, and the files a gateway needs.

It follows the campaigns in the table: what they are linked to exists, from then on. A gateway
finds the platforms through `gateway.yaml` and `credentials.yaml` in a directory, written once all
servers listen.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import structlog

from engine.clock import Clock, Pause
from engine.domain.campaign import Campaign, Definition
from engine.domain.codec import decode_campaign
from engine.errors import ConfigError, MalformedMessageError
from engine.messaging.ports import Broker, Message
from engine.platforms.credentials import Credentials
from engine.sandbox.ground import MarketGround
from engine.sandbox.meta.server import MetaSandbox
from engine.sandbox.state import Books
from engine.sandbox.tiktok.server import TikTokSandbox

__all__ = ["AD_ACCOUNTS", "Stand", "linked"]

_log = structlog.get_logger(__name__)

AD_ACCOUNTS = {"google": "1234567890", "meta": "act_1234567890", "tiktok": "7001234567890"}
"""The ad account of each platform there is a sandbox of."""
_ENTITIES = {"google": "adGroups/{}", "meta": "adsets/{}", "tiktok": "adgroups/{}"}
_MOST_LATE = 20  # steps; more than these are not made up for
_OPERATIONS_A_DAY = 1_000_000

# What a demonstration of half a minute needs: days and quarters of an hour would show nothing.
_ACCOUNT = {
    "live": True,
    "operations_a_day": _OPERATIONS_A_DAY,
    "poll_every": 1.0,
    "cell": 1.0,
    "report_delay": 0.0,
    "look_back_days": 1.0,
    "off_after": 5.0,
    "time_out": 10.0,
    "readiness": {"clicks": 0, "conversions": 0},
}
_GATE = {"dead_band": 0.03, "hold_s": 3.0, "budget_hold_s": 10.0, "largest_rise": 8.0}


class _Sandbox(Protocol):
    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def credentials(self, **changed: str) -> Credentials: ...


def linked(definitions: Sequence[Definition]) -> list[Definition]:
    """Return campaigns linked to entities of the sandbox's ad accounts, where there is one."""
    return [
        msgspec.structs.replace(
            one,
            platforms={
                platform: msgspec.structs.replace(
                    bounds,
                    ad_account=AD_ACCOUNTS[platform],
                    entity=_ENTITIES[platform].format(number),
                )
                if platform in AD_ACCOUNTS
                else bounds
                for platform, bounds in one.platforms.items()
            },
        )
        for number, one in enumerate(definitions, 1001)
    ]


class Stand:
    """Runs sandboxes of platforms over a market until stopped."""

    def __init__(
        self,
        *,
        broker: Broker,
        ground: MarketGround,
        clock: Clock,
        directory: Path,
    ) -> None:
        self._broker = broker
        self._ground = ground
        self._clock = clock
        self._directory = directory
        self._fresh: dict[str, Campaign] = {}
        self._stopping = Pause(clock)

    async def run(self) -> None:
        """Serve and sell until stopped.

        Raises ConfigError where a package is missing, or the files cannot be written.
        """
        async with (
            AsyncExitStack() as servers,
            self._broker.campaigns.follow(self._on_campaign, after=0) as campaigns,
        ):
            await campaigns.caught_up()
            self._open()
            credentials = {
                platform: (await servers.enter_async_context(self._make(platform, books)))
                for platform, books in self._ground.books.items()
            }
            try:
                self._write({name: each.credentials() for name, each in credentials.items()})
            except OSError as error:
                wanted = f"directory: {self._directory}: a directory to write in"
                raise ConfigError(f"{wanted}, found {error.strerror}") from None
            _log.info("sandboxes_opened", platforms=sorted(credentials))
            await self._keep_selling()
        _log.info("sandboxes_closed", moves=self.moves)

    @property
    def moves(self) -> int:
        """Return how many levers were moved on all platforms."""
        return sum(len(books.moves) for books in self._ground.books.values())

    def stop(self) -> None:
        """Ask for the end; asked again, it changes nothing."""
        self._stopping.end()

    async def _keep_selling(self) -> None:
        market = self._ground.market
        step = market.step_at(self._now_ms()) + 1
        while not self._stopping.is_over:
            await self._stopping.sleep(max(step * market.step_ms - self._now_ms(), 0) / 1000)
            newest = market.step_at(self._now_ms())
            if newest - step > _MOST_LATE:
                _log.warning("steps_skipped", steps=newest - step, step_ms=market.step_ms)
                step = newest
            self._open()
            while step <= newest:
                self._ground.sell(step)
                step += 1

    def _open(self) -> None:
        if self._fresh:
            self._ground.link(campaign.definition for campaign in self._fresh.values())
            self._fresh.clear()

    def _on_campaign(self, message: Message) -> None:
        try:
            campaign = decode_campaign(f"campaign at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("campaign_unreadable", reason=str(error))
            return
        self._fresh[campaign.definition.id] = campaign

    def _make(self, platform: str, books: Books) -> _Sandbox:
        match platform:
            case "meta":
                return MetaSandbox(books=books, clock=self._clock)
            case "tiktok":
                return TikTokSandbox(books=books, clock=self._clock)
            case "google":
                return _google(books, self._clock)
            case _:
                known = ", ".join(AD_ACCOUNTS)
                raise ConfigError(f"platforms: some of {known} wanted, found {platform!r}")

    def _write(self, credentials: Mapping[str, Credentials]) -> None:
        """Write the files; the one that a gateway is started with last, and whole."""
        self._directory.mkdir(parents=True, exist_ok=True)
        fields = {
            name: {field: each.text(field) for field in each} for name, each in credentials.items()
        }
        secrets = self._directory / "credentials.yaml"
        with os.fdopen(os.open(secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(msgspec.yaml.encode(fields))
        accounts: list[dict[str, Any]] = [
            {"platform": name, "ad_account": AD_ACCOUNTS[name], "credentials": secrets.name}
            | _ACCOUNT
            for name in sorted(credentials)
        ]
        file = self._directory / "gateway.yaml"
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.yaml.encode({"accounts": accounts, "gate": _GATE}))
        part.rename(file)

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)


def _google(books: Books, clock: Clock) -> _Sandbox:
    try:
        from engine.sandbox.google.server import GoogleSandbox
    except ModuleNotFoundError as error:
        raise ConfigError("google needs: pip install 'campaign-engine[google]'") from error
    return GoogleSandbox(books=books, clock=clock)
