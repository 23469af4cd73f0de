"""The dashboard's own files, read once: pages, modules and styles, with their types and marks."""

import gzip
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

__all__ = ["Asset", "assets"]

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served."""

    kind: str
    body: bytes
    packed: bytes  # gzip
    mark: str  # the ETag: changes with the body


def assets() -> dict[str, Asset]:
    """Return all files by name. What is not among them is not served."""
    folder = files("engine.dashboard") / "static"
    return {one.name: _asset(one) for one in folder.iterdir() if _suffix(one) in _TYPES}


def _asset(one: Traversable) -> Asset:
    body = one.read_bytes()
    return Asset(
        kind=_TYPES[_suffix(one)],
        body=body,
        packed=gzip.compress(body, 9, mtime=0),
        mark=f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"',
    )


def _suffix(one: Traversable) -> str:
    return "." + one.name.rpartition(".")[2]
