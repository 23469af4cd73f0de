"""A sample: one platform's report for one campaign and stretch of time, as people write it."""

import msgspec

__all__ = ["Sample"]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Counts and spend of the stretch that ends at `at` (epoch seconds); never rates.

    A second report with the same campaign, platform and `at` replaces the first.
    """

    campaign: str
    platform: str
    at: float
    clicks: int
    spend_micros: int
    impressions: int = 0
    conversions: float = 0.0  # fractions are what attribution models give; kept to 1/1000
