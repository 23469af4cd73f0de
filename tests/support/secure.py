"""A nats-server with the configuration that is shipped: users, accounts, and TLS by a new CA."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trustme

from engine.clock import SystemClock
from engine.messaging.accounts import password_variable
from engine.messaging.credentials import Credentials
from engine.messaging.embedded import find_server
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.permissions import Role

__all__ = ["DOCKER", "Secured", "certificates", "secured_server"]

DOCKER = Path(__file__).parents[2] / "docker"


class Secured:
    """A running server, and what its clients must know."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.ca_file = folder / "tls" / "ca.crt"
        self.process: subprocess.Popen[bytes] | None = None

    def end(self) -> None:
        """Kill the server."""
        assert self.process is not None
        self.process.kill()

    def password(self, role: Role | str) -> str:
        return f"s3cret-of-{role}"

    def credentials(self, role: Role) -> Credentials:
        return Credentials(user=role.value, password=self.password(role), ca_file=self.ca_file)

    def environ(self, role: Role) -> dict[str, str]:
        """Return the variables by which a process of the engine is somebody of this role."""
        file = self.folder / f"{role}.password"
        file.write_text(self.password(role) + "\n", encoding="utf-8")
        return {
            "ENGINE_NATS": self.url,
            "ENGINE_USER": role.value,
            "ENGINE_PASSWORD_FILE": str(file),
            "ENGINE_TLS_CA": str(self.ca_file),
        }

    def client(
        self, role: Role, *, name: str = "", provision: bool | None = False
    ) -> AbstractAsyncContextManager[NatsBroker]:
        return connect(
            self.url,
            name=name or f"{role}-1",
            clock=SystemClock(),
            credentials=self.credentials(role),
            provision=provision,
        )


def certificates(folder: Path) -> None:
    """Write a CA, and a server's certificate for this machine, where the configuration has them."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost", "nats-1", "nats-2", "nats-3")
    client = authority.issue_cert("client.test")
    folder.mkdir()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.key")
    (folder / "server.crt").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")


@asynccontextmanager
async def secured_server(
    folder: Path, *, name: str = "nats-secure.conf", changes: dict[str, str] | None = None
) -> AsyncIterator[Secured]:
    """Run the shipped configuration on free ports of this machine, with an empty store."""
    certificates(folder / "tls")
    ports = {'listen: "0.0.0.0:4222"': 'listen: "127.0.0.1:-1"', "127.0.0.1:8222": "127.0.0.1:-1"}
    text = (DOCKER / name).read_text(encoding="utf-8")
    for old, new in (ports | (changes or {})).items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")
    accounts = (DOCKER / "nats-accounts.conf").read_text(encoding="utf-8")
    (folder / "nats-accounts.conf").write_text(accounts, encoding="utf-8")
    secured = Secured("", folder)
    process = subprocess.Popen(  # noqa: ASYNC220 - forks in a millisecond
        [find_server(), "-c", folder / name, "--ports_file_dir", folder, "-l", folder / "log"],
        cwd=folder,
        env=os.environ
        | {password_variable(role): secured.password(role) for role in Role}
        | {"SYSTEM_PASSWORD": secured.password("system")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = folder / f"nats-server_{process.pid}.ports"
        async with asyncio.timeout(10):
            while not (found.exists() and "://127.0.0.1:" in found.read_text(encoding="utf-8")):
                assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
                await asyncio.sleep(0.005)
        said = found.read_text(encoding="utf-8")
        scheme = "tls" if '"tls://' in said else "nats"
        port = said.partition(f"{scheme}://127.0.0.1:")[2].split('"')[0]
        secured.url = f"nats://127.0.0.1:{port}"
        secured.process = process
        yield secured
    finally:
        process.kill()
        process.wait()
