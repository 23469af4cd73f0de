"""Names of campaigns and series, and the hashes that place them.

A campaign lives in one of `PARTITIONS` partitions, all its platforms with it. A series is one
campaign on one platform; metric rows name it by a 64-bit key, so that a producer needs nothing
but the two names. Both hashes are FNV-1a: nats-server's `{{partition(64,…)}}` gives the same.
"""

import re
from functools import lru_cache

__all__ = [
    "PARTITIONS",
    "account_key",
    "campaign_key",
    "is_ad_account",
    "is_campaign_id",
    "is_entity",
    "is_platform",
    "partition_of",
    "series_key",
]

PARTITIONS = 64

_CAMPAIGN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:~-]{0,127}")
_PLATFORM = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def is_campaign_id(text: str) -> bool:
    """Return whether `text` may name a campaign: 1 to 64 of A-Z a-z 0-9 _ -."""
    return _CAMPAIGN_ID.fullmatch(text) is not None


def is_platform(text: str) -> bool:
    """Return whether `text` may name a platform: lower case, 1 to 32 of a-z 0-9 _ -."""
    return _PLATFORM.fullmatch(text) is not None


def is_ad_account(text: str) -> bool:
    """Return whether `text` may name an ad account: 1 to 64 of A-Z a-z 0-9 _ -."""
    return is_campaign_id(text)


def is_entity(text: str) -> bool:
    """Return whether `text` may name an entity of an ad account, such as adGroups/55."""
    return _ENTITY.fullmatch(text) is not None


def partition_of(campaign: str) -> int:
    """Return the partition of a campaign, 0 to 63.

    >>> partition_of("spring-shoes")
    25
    """
    value = 0x811C9DC5
    for byte in campaign.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFF_FFFF
    return value % PARTITIONS


def campaign_key(campaign: str) -> int:
    """Return the 64-bit key under which the core knows a campaign."""
    return _fnv1a64(campaign)


def account_key(account: str) -> int:
    """Return the 64-bit key under which the core knows an account."""
    return _fnv1a64(account)


def series_key(campaign: str, platform: str) -> int:
    """Return the 64-bit key of a campaign on a platform: FNV-1a of "campaign/platform"."""
    return _fnv1a64(platform, _before_platforms(campaign))


@lru_cache(maxsize=1)  # the platforms of a campaign are asked about one after the other
def _before_platforms(campaign: str) -> int:
    return _fnv1a64(f"{campaign}/")


def _fnv1a64(text: str, value: int = 0xCBF29CE484222325) -> int:
    """Return the hash of a text, or of what came before, which hashes to `value`, and a text."""
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value
