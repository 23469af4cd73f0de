"""What commands share that serve until they are stopped: flags, settings, a name, pages."""

import os
import platform
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
import structlog
from cyclopts import Parameter

from engine.cli.versions import core_profile, core_version, engine_version
from engine.messaging.identity import IdentitySettings
from engine.wiring import DEFAULT_NATS, load, run_service, set_up_logs
from engine.worker.health import Inspected, serve_health

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from engine.gateway.settings import GatewaySettings
    from engine.worker.settings import WorkerSettings

__all__ = [
    "PATIENCE_S",
    "Flag",
    "ServiceSettings",
    "own_name",
    "serve_with",
    "served_health",
    "served_metrics",
]

PATIENCE_S = 30.0  # for a broker that starts at the same time

# Flags are taken as text: a wrong one is then refused in the same words as a wrong variable.
Flag = Annotated[str | None, Parameter(show_default=False)]


class ServiceSettings(IdentitySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker is, and how much is told."""

    nats: Annotated[
        str, msgspec.Meta(description="a URL such as nats://127.0.0.1:4222", min_length=1)
    ] = DEFAULT_NATS
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        msgspec.Meta(description="one of debug, info, warning, error"),
    ] = "info"


_SettingsT = TypeVar("_SettingsT", bound="ServiceSettings | WorkerSettings | GatewaySettings")


def serve_with(
    settings: type[_SettingsT],
    serve: Callable[[_SettingsT], Coroutine[Any, Any, None]],
    given: Mapping[str, Any],
    *,
    name: str,
) -> int:
    """Serve by the settings that flags, variables and a file make; return the exit code.

    `given` are a command's arguments: the file of settings is its `config`, the rest are flags.
    """
    flags = {key: value for key, value in given.items() if key != "config"}
    file = given["config"] or os.environ.get("ENGINE_CONFIG")

    async def start() -> None:
        found = load(settings, file=file, flags=flags)
        set_up_logs(found.log_level)
        await serve(found)

    return run_service(start, name=name)


def own_name(kind: str = "") -> str:
    """Return the name of a service that was given none: host, kind and process id."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
    return "-".join(part for part in (host[:40], kind, str(os.getpid())) if part)


@asynccontextmanager
async def served_health(address: str | None, service: Inspected) -> AsyncIterator[None]:
    """Answer probes at `address` while the body runs; nowhere where that is None.

    Raises ConfigError where the address cannot be listened on.
    """
    if address is None:
        yield
        return
    async with serve_health(address, worker=service) as at:
        structlog.get_logger(__name__).info("health_served", address=at)
        yield


@asynccontextmanager
async def served_metrics(
    address: str | None, *, service: str, collect: "Callable[[], Iterable[Metric]]" = tuple
) -> AsyncIterator[str | None]:
    """Answer Prometheus at `address` while the body runs; yields where, None where nowhere.

    Raises ConfigError where the address cannot be listened on.
    """
    if address is None:
        yield None
        return
    # Imported when wanted: with prometheus-client a start takes a tenth longer.
    from engine.metrics.page import registry_of, serve_metrics
    from engine.metrics.process import process_families

    build = process_families(
        service=service,
        version=engine_version(),
        core=core_version(),
        profile=core_profile(),
        python=platform.python_version(),
    )
    async with serve_metrics(address, registry=registry_of(build, collect)) as at:
        structlog.get_logger(__name__).info("metrics_served", service=service, address=at)
        yield at
