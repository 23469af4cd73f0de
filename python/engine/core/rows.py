"""The rows that cross the border to Rust, and the wire: packed, little-endian, fixed.

A frame is one FRAME_HEADER and `count` SAMPLE_ROWs, all of one partition. The last 16 bytes of a
row are the sample as a window stores it. Books take CAMPAIGN_ROWs, each followed (in a second
array) by its `series_count` SERIES_ROWs, and give DECISION_ROWs and SERIES_DECISION_ROWs.
Sweeps have rows of their own. engine-core holds the same layouts in frame.rs, definition.rs,
account.rs, round.rs and sweep; a test holds them equal.
"""

import numpy as np

__all__ = [
    "ACCOUNT_ROW",
    "CAMPAIGN_ROW",
    "DECISION_ROW",
    "FRAME_HEADER",
    "FRAME_MAGIC",
    "LEDGER_ROW",
    "SAMPLE_ROW",
    "SERIES_DECISION_ROW",
    "SERIES_ROW",
    "SWEEP_DECISION_ROW",
    "SWEEP_PLAN_ROW",
    "SWEEP_SAMPLE_ROW",
]

FRAME_MAGIC = b"CEF1"

FRAME_HEADER = np.dtype(
    [
        ("magic", "S4"),
        ("partition", "<u2"),
        ("tick_ms", "<u2"),  # length of a tick of the rows' times
        ("producer", "<u8"),  # FNV-1a-64 of the producer's name, one name a process start
        ("sequence", "<u8"),  # rises by one a frame, for each producer and partition
        ("count", "<u4"),
        ("unit_micros", "<u4"),  # what one unit of the rows' spend is worth
    ]
)  # 32 bytes

SAMPLE_ROW = np.dtype(
    [
        ("series", "<u8"),  # FNV-1a-64 of "campaign/platform"
        ("impressions", "<u4"),
        ("spend_rest_micros", "<u2"),  # spend below one unit
        ("kind", "u1"),  # 0: a report; the same series and tick again replaces it
        ("reserved", "u1"),
        # the sample as stored
        ("tick", "<u4"),  # end of the stretch: (epoch_ms // tick_ms) modulo 2**32
        ("clicks", "<u4"),  # below 2**31, as the next two
        ("milliconversions", "<u4"),
        ("spend_units", "<u4"),
    ]
)  # 32 bytes

CAMPAIGN_ROW = np.dtype(
    [
        ("campaign", "<u8"),  # FNV-1a-64 of the id
        ("budget_micros", "<i8"),
        ("starts_at_ms", "<i8"),
        ("ends_at_ms", "<i8"),
        ("conversion_value_micros", "<i8"),  # 0: none, as in all optional fields here
        ("target_cpa_micros", "<i8"),
        ("target_roas", "<f8"),
        ("target_reach", "<i8"),
        ("daily_cap_micros", "<i8"),
        ("min_bid_micros", "<i8"),
        ("max_bid_micros", "<i8"),
        ("max_change", "<f8"),
        ("unit_micros", "<u4"),
        ("calendar", "<u4"),  # a table of midnights: Book.set_calendar
        ("strategy", "u1"),  # index in domain.campaign.Strategy, in order of definition
        ("is_active", "u1"),  # 0: may not bid, whatever the reason
        ("series_count", "<u2"),
        ("hold_ms", "<u4"),
        ("max_daily_change", "<f8"),
        ("min_confidence", "<f8"),
        ("account", "<u8"),  # FNV-1a-64 of the id
        ("blocked_hours", "<u8", (3,)),  # hour h of the week: bit h % 64 of word h // 64
        ("reserved", "<u8"),
    ]
)  # 168 bytes

SERIES_ROW = np.dtype(
    [
        ("series", "<u8"),
        ("min_bid_micros", "<i8"),
        ("max_bid_micros", "<i8"),
        ("daily_cap_micros", "<i8"),
        ("is_blocked", "<u8"),
    ]
)  # 40 bytes

ACCOUNT_ROW = np.dtype(
    [
        ("account", "<u8"),  # FNV-1a-64 of the id
        ("total_cap_micros", "<i8"),  # this partition's share; -1: no such cap
        ("daily_cap_micros", "<i8"),
        ("later_daily_cap_micros", "<i8"),  # in its place from then on; 0 as time: never
        ("later_from_ms", "<i8"),
        ("is_halted", "u1"),
        ("reserved", "V7"),
    ]
)  # 48 bytes

DECISION_ROW = np.dtype(
    [
        ("campaign", "<u8"),
        ("settled_micros", "<i8"),
        ("reserved_micros", "<i8"),
        ("pacing_multiplier", "<f8"),
        ("first", "<u4"),  # its first SERIES_DECISION_ROW
        ("series_count", "<u2"),
        ("best", "<i2"),  # of its own series, by highest ROI; -1: none
        ("action", "u1"),
        ("binding", "u1"),
        ("is_changed", "u1"),  # since the decision of the round before, beyond resolution
        ("reserved", "V5"),
    ]
)  # 48 bytes

SERIES_DECISION_ROW = np.dtype(
    [
        ("series", "<u8"),
        ("bid_micros", "<i8"),
        ("cap_micros", "<i8"),
        ("cpc_micros", "<f8"),  # forecasts; NaN: no answer yet
        ("cvr", "<f8"),
        ("roi_micros", "<f8"),
        ("confidence", "<f8"),
        ("planned_micros", "<f8"),  # what it is expected to spend until the next round
        ("bound_by", "u1"),  # as the decision's binding, of this bid
        ("condition", "u1"),  # of the market, as domain.decision.Condition
        ("reserved", "V6"),
    ]
)  # 72 bytes

LEDGER_ROW = np.dtype(
    [
        ("campaign", "<u8"),
        ("settled_micros", "<i8"),
        ("reserved_micros", "<i8"),
    ]
)  # 24 bytes

SWEEP_SAMPLE_ROW = np.dtype(
    [
        ("slot", "<u8"),  # campaign * platforms + platform
        ("unread", "V8"),
        ("tick", "<u4"),  # the sample, as in SAMPLE_ROW
        ("clicks", "<u4"),
        ("milliconversions", "<u4"),
        ("spend_units", "<u4"),
    ]
)  # 32 bytes

SWEEP_PLAN_ROW = np.dtype(
    [
        ("value_micros", "<i8"),  # of a conversion; amounts and times are 0 to 2**53
        ("max_bid_micros", "<i8"),  # 0: none
        ("budget_micros", "<i8"),
        ("spent_micros", "<i8"),  # spent before; -1: as counted so far
        ("starts_at_ms", "<i8"),
        ("ends_at_ms", "<i8"),
    ]
)  # 48 bytes

SWEEP_DECISION_ROW = np.dtype(
    [
        ("bid_micros", "<i8"),  # 0: no bid
        ("score_micros", "<f4"),  # of the best platform, as the next three; NaN: no forecast
        ("cpc_micros", "<f4"),
        ("cvr", "<f4"),
        ("confidence", "<f4"),
        ("pacing", "<f4"),
        ("best", "<i2"),  # platform; -1: none has a forecast
        ("binding", "u1"),  # as domain.decision.Binding
        ("reserved", "u1"),
    ]
)  # 32 bytes
