"""`engine platforms`: which adapters there are, and whether credentials reach any ad account."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson
from engine.clock import SystemClock
from engine.errors import ConfigError, EngineError
from engine.platforms.credentials import Credentials, read_credentials
from engine.platforms.port import AdAccount, Limits
from engine.platforms.registry import make_platform, platform_names
from engine.wiring import set_up_logs

__all__ = ["check_command", "list_command"]

DONE, FAILED = 0, 1
_PATIENCE_S = 60.0


def list_command(*, json: AsJson = False) -> int:
    """List the ad platforms for which there is an adapter, and what one still needs."""
    found = {name: _needs(name) for name in platform_names()}
    if json:
        as_json([{"platform": name, "needs": needs} for name, needs in found.items()])
        return DONE
    for name, needs in found.items():
        say(f"{name:<12}  {needs or 'ready'}")
    return DONE


def check_command(
    platform: str,
    /,
    *,
    credentials: Annotated[Path | None, Parameter(name=["--credentials", "-c"])] = None,
    json: AsJson = False,
) -> int:
    """Ask a platform which ad accounts the credentials reach. Changes nothing.

    Parameters
    ----------
    platform
        Its name, such as google.
    credentials
        The file of credentials; variables such as ENGINE_GOOGLE_REFRESH_TOKEN go before it.
    """
    set_up_logs("warning")
    given = read_credentials(platform, file=credentials, environ=os.environ)
    limits, accounts = asyncio.run(_reached(platform, given))
    if json:
        as_json({"platform": platform, "accounts": accounts, "limits": limits})
    else:
        _show(accounts, limits)
    if not accounts:
        complain(f"{platform}: the credentials are good, and reach no ad account")
        return FAILED
    return DONE


async def _reached(platform: str, given: Credentials) -> tuple[Limits, list[AdAccount]]:
    adapter = make_platform(platform, given, clock=SystemClock())
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return adapter.limits, await adapter.accounts()
    finally:
        await adapter.aclose()


def _show(accounts: Sequence[AdAccount], limits: Limits) -> None:
    for account in sorted(accounts, key=lambda account: account.id):
        kind = "test" if account.is_test else ""
        clock = f"{account.currency}  {account.timezone:<24}"
        say(f"{account.id:<16}  {clock}  {account.name}  {kind}".rstrip())
    if limits.operations_per_day is not None:
        span = "24 hours" if limits.is_quota_sliding else "a day"
        allowed = f"{limits.operations_per_day:,} operations in {span}"
        complain(f"{len(accounts):,} ad accounts; {allowed}")


def _needs(name: str) -> str:
    """Return what an adapter lacks to be used, "" where nothing."""
    try:
        make_platform(name, Credentials(name, {}, source="none"), clock=SystemClock())
    except ConfigError as error:
        return str(error)
    except EngineError:
        return ""  # it is there, and wants credentials
    return ""
