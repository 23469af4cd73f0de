"""A sleep that can be cut short, once or for good: where it was before gateways slept too."""

from engine.clock import Pause

__all__ = ["Pause"]
