"""All fuzz targets, by name."""

from fuzz import broker, chain, files, partition
from fuzz.promises import Target

__all__ = ["TARGETS"]

TARGETS: dict[str, Target] = {
    target.name: target for module in (chain, partition, broker, files) for target in module.TARGETS
}
