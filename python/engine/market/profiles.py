"""The platforms: how dear, how busy, how steady each is, and when.

The figures are invented, of the order that advertisers report: they make platforms differ in
the ways that matter to a decision, and describe no real company.
"""

import msgspec

__all__ = ["PROFILES", "Profile", "profile_of"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One platform's market. Spreads are standard deviations of logarithms."""

    price_micros: float  # median price to beat for a click, in currencies with cents
    price_spread: float  # of prices to beat between auctions: the more rivals, the narrower
    price_drift: float  # of the price level over time
    ctr: float  # clicks for each impression
    cvr: float  # conversions for each click, typical campaign
    cvr_drift: float  # of the odds of a conversion over time
    clicks_a_day: float  # clicks to be had by a typical campaign, were every auction won
    noise: float  # of traffic from step to step
    prompt_share: float  # of conversions that come within minutes
    delay_days: float  # mean delay of the others
    peak_hours: tuple[float, ...]  # of the day
    day_swing: float  # 0: all hours alike; towards 1: dead at night
    weekend: float  # traffic at weekends, relative to weekdays


PROFILES: dict[str, Profile] = {
    "google": Profile(
        price_micros=900_000, price_spread=0.45, price_drift=0.10, ctr=0.045, cvr=0.042,
        cvr_drift=0.10, clicks_a_day=900, noise=0.08, prompt_share=0.55, delay_days=0.06,
        peak_hours=(11.0, 20.0), day_swing=0.45, weekend=0.9,
    ),
    "meta": Profile(
        price_micros=520_000, price_spread=0.60, price_drift=0.16, ctr=0.013, cvr=0.021,
        cvr_drift=0.16, clicks_a_day=1_300, noise=0.14, prompt_share=0.40, delay_days=0.10,
        peak_hours=(13.0, 21.0), day_swing=0.40, weekend=1.15,
    ),
    "tiktok": Profile(
        price_micros=310_000, price_spread=0.75, price_drift=0.24, ctr=0.009, cvr=0.010,
        cvr_drift=0.24, clicks_a_day=1_700, noise=0.24, prompt_share=0.35, delay_days=0.12,
        peak_hours=(19.0, 22.0), day_swing=0.55, weekend=1.3,
    ),
    "microsoft": Profile(
        price_micros=680_000, price_spread=0.40, price_drift=0.08, ctr=0.038, cvr=0.036,
        cvr_drift=0.10, clicks_a_day=260, noise=0.12, prompt_share=0.55, delay_days=0.06,
        peak_hours=(10.0, 15.0), day_swing=0.60, weekend=0.55,
    ),
    "amazon": Profile(
        price_micros=780_000, price_spread=0.50, price_drift=0.12, ctr=0.006, cvr=0.075,
        cvr_drift=0.12, clicks_a_day=520, noise=0.10, prompt_share=0.75, delay_days=0.04,
        peak_hours=(12.0, 20.0), day_swing=0.40, weekend=1.2,
    ),
    "linkedin": Profile(
        price_micros=3_600_000, price_spread=0.35, price_drift=0.08, ctr=0.005, cvr=0.048,
        cvr_drift=0.12, clicks_a_day=140, noise=0.16, prompt_share=0.30, delay_days=0.20,
        peak_hours=(9.0, 14.0), day_swing=0.75, weekend=0.25,
    ),
    "pinterest": Profile(
        price_micros=420_000, price_spread=0.65, price_drift=0.14, ctr=0.006, cvr=0.014,
        cvr_drift=0.16, clicks_a_day=480, noise=0.18, prompt_share=0.25, delay_days=0.25,
        peak_hours=(20.0, 22.0), day_swing=0.45, weekend=1.35,
    ),
    "snapchat": Profile(
        price_micros=380_000, price_spread=0.80, price_drift=0.22, ctr=0.008, cvr=0.009,
        cvr_drift=0.22, clicks_a_day=620, noise=0.26, prompt_share=0.40, delay_days=0.10,
        peak_hours=(16.0, 22.0), day_swing=0.50, weekend=1.25,
    ),
}  # fmt: skip

_ANY = Profile(
    price_micros=600_000, price_spread=0.60, price_drift=0.15, ctr=0.010, cvr=0.020,
    cvr_drift=0.15, clicks_a_day=500, noise=0.15, prompt_share=0.45, delay_days=0.10,
    peak_hours=(12.0, 20.0), day_swing=0.45, weekend=1.0,
)  # fmt: skip


def profile_of(platform: str) -> Profile:
    """Return the profile of a platform; one of middling habits where the name is not known."""
    return PROFILES.get(platform, _ANY)
