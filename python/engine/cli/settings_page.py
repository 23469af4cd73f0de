"""`engine config settings`: the reference of all settings, from what the code says of them.

What a setting is, is told where its flag is: in the docstring of the command. Those without a flag
carry it as the title of their `msgspec.Meta`, whose description is what an error says was wanted.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterator

import msgspec

__all__ = ["settings_page"]

_HEAD = """\
# Settings

Written by `engine config settings`: change the settings, not this file (`make docs`).

A setting is looked for in four places, and the first that has it wins: a flag
(`--snapshot-every 10`), a variable (`ENGINE_SNAPSHOT_EVERY=10`), the file of `--config` or
`ENGINE_CONFIG` (`snapshot_every: 10`; YAML, TOML or JSON), and what stands below. A mistake is said
in one line: where, what was wanted, what was found. A name that is nearly a setting's is refused.

`interval` and `window` belong to the fleet: they are the same for all workers.
"""

_EVERYWHERE = """\
## The environment alone

| variable | what | wanted | unless given |
|---|---|---|---|
| `ENGINE_CONFIG` | File of settings, for services | `.yaml`, `.yml`, `.toml` or `.json` | none |
| `ENGINE_NATS` | The broker | a URL; several with commas | `nats://127.0.0.1:4222` |
| `ENGINE_REPLICAS` | Copies of a stream that is made | 1, 3 or 5 | 1 |
| `ENGINE_CONTEXT` | One of the contexts, as `--context` | a name | none |
| `ENGINE_CONTEXTS` | File of contexts | a path | `~/.config/campaign-engine/contexts.yaml` |
| `ENGINE_READ_ONLY` | 1: commands that change something are refused | 0 or 1 | 0 |

Credentials of ad platforms are read from variables too: see [platforms](platforms.md).
"""


_PLAIN: dict[object, str] = {int: "a whole number", float: "a number"}


class _Page(typing.NamedTuple):
    title: str
    about: str
    settings: type[msgspec.Struct]
    command: Callable[..., int] | None


def settings_page() -> str:
    """Return the reference of all settings, in Markdown."""
    from engine.messaging.identity import IdentitySettings
    from engine.wiring.traces import TracesSettings

    shared = {field.name for field in msgspec.structs.fields(IdentitySettings)}
    parts = [_HEAD]
    for page in _pages():
        rows = list(_rows(page, without=shared))
        parts.append("\n".join([f"## {page.title}", "", page.about, "", *_table(rows)]) + "\n")
    identity = _Page("Who a process is", "", IdentitySettings, None)
    parts.append(
        "## Who a process is\n\n"
        "For every service above. There are no flags for these: everybody on a machine can read\n"
        "the arguments of its processes. Commands take them from the environment or a context.\n\n"
        + "\n".join(_table(list(_rows(identity, without=set()))))
        + "\n"
    )
    traces = _Page("Traces", "", TracesSettings, None)
    parts.append(
        "## Traces\n\nFor every service above, by variables alone: see [metrics](metrics.md).\n\n"
        + "\n".join(_table(list(_rows(traces, without=set()))))
        + "\n"
    )
    parts.append(_EVERYWHERE)
    return "\n".join(parts)


def _pages() -> Iterator[_Page]:
    from engine.cli import dashboard, exporter, gateway, market, sandbox, worker
    from engine.gateway.breaker import BreakerSettings
    from engine.gateway.gate import GateSettings
    from engine.gateway.settings import AccountSettings, GatewaySettings, ReadinessSettings
    from engine.worker.settings import WorkerSettings

    file = "In the file that `accounts` names"
    yield _Page("Worker", "`engine worker`", WorkerSettings, worker.command)
    yield _Page("Gateway", "`engine gateway`", GatewaySettings, gateway.command)
    yield _Page("An ad account", f"{file}, under `accounts`.", AccountSettings, None)
    yield _Page(
        "Readiness of an ad account",
        f"{file}, under `readiness` of an ad account: what must be known of an entity, over "
        "the days that reports are restated, before it is steered.",
        ReadinessSettings,
        None,
    )
    yield _Page(
        "Gate", f"{file}, under `gate`: when a change is worth sending.", GateSettings, None
    )
    yield _Page(
        "Breaker", f"{file}, under `breaker`: when a platform is left alone.", BreakerSettings, None
    )
    yield _Page("Dashboard", "`engine dashboard`", dashboard.DashboardSettings, dashboard.command)
    yield _Page("Exporter", "`engine exporter`", exporter.ExporterSettings, exporter.command)
    yield _Page("Market", "`engine market`", market.MarketSettings, market.command)
    yield _Page("Sandbox", "`engine sandbox`", sandbox.SandboxSettings, sandbox.command)


def _table(rows: list[tuple[str, str, str, str]]) -> list[str]:
    head = ["| setting | what | wanted | unless given |", "|---|---|---|---|"]
    return head + [
        f"| `{name}` | {what} | {wanted} | {short} |" for name, what, wanted, short in rows
    ]


def _rows(page: _Page, *, without: set[str]) -> Iterator[tuple[str, str, str, str]]:
    from engine.cli.sandbox import SandboxSettings

    told = _told(page.command) if page.command else {}
    for field in msgspec.structs.fields(page.settings):
        if field.name in without or _is_settings(field.type):
            continue
        if page.settings is SandboxSettings and field.name == "metrics_port":
            continue  # the market's; a sandbox has no page
        title, wanted = _meta(field.type)
        what, unless = told.get(field.name, (title, ""))
        wanted = wanted or _PLAIN.get(getattr(field.type, "__origin__", None), "")
        if not what or not wanted:
            raise LookupError(f"{page.title}.{field.name}: a title and a description, found none")
        yield field.name, what, wanted, _default(field, unless)


def _default(field: msgspec.structs.FieldInfo, told: str) -> str:
    value = field.default
    if value is msgspec.NODEFAULT:
        return "required"
    if value is None or value == "":
        return told or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else f"`{value}`"


def _is_settings(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _meta(kind: object) -> tuple[str, str]:
    """Return title and description in the annotation of a field, also inside `… | None`."""
    title = description = ""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta):
            title, description = meta.title or title, meta.description or description
    for inner in typing.get_args(kind):
        more_title, more_description = _meta(inner)
        title, description = title or more_title, description or more_description
    return title, description


def _told(command: Callable[..., int]) -> dict[str, tuple[str, str]]:
    """Return what a docstring says of each parameter: what it is, and what it is unless given."""
    _, _, parameters = (inspect.getdoc(command) or "").partition("Parameters\n----------\n")
    found = {}
    for name, text in re.findall(r"^(\w+)\n((?:    .*\n?)+)", parameters, flags=re.MULTILINE):
        words = " ".join(text.split())
        match = re.fullmatch(r"(.*?); ([^;.]*?(?:\.[^;. ]+)*) where not given(\..*)", words)
        what, unless = (match[1] + match[3], match[2]) if match else (words, "")
        found[name] = (what.removesuffix("."), unless)
    return found
