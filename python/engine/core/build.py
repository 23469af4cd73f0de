"""What the core says it was built from."""

from engine._core import __version__, build_profile

__all__ = ["__version__", "build_profile"]
