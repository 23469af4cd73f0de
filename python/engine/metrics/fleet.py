"""The fleet's page: what streams, heartbeats and gateways say, and no campaign by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import Metric

from engine.domain.decision import Action, Binding
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State
from engine.domain.money import MICROS
from engine.messaging.gateway_status import AccountStatus
from engine.messaging.inspection import StreamFacts
from engine.metrics.board import Board
from engine.metrics.families import counter, gauge
from engine.metrics.forecast_errors import ForecastErrors
from engine.reports.facts import code_name
from engine.reports.plan import planned_micros

__all__ = ["fleet_families"]

_BREAKERS = ("closed", "half-open", "open")
_ANOMALIES = ("zero-spend", "cpa-spike", "ctr-drop")
_ACCOUNT = ("gateway", "platform", "ad_account")


def fleet_families(
    board: Board,
    errors: ForecastErrors,
    *,
    now: float,
    samples: int,
    streams: Sequence[StreamFacts] = (),
    is_connected: bool = True,
) -> Iterable[Metric]:
    """Return the families of this moment; `samples` is how many the exporter has seen."""
    yield gauge("engine_fleet_broker_up", "1 while the broker answers.", is_connected)
    yield from _workers(board)
    yield from _partitions(board, now)
    yield counter("engine_fleet_rounds", "Rounds read off the chains.", board.rounds)
    yield counter("engine_fleet_decisions", "Campaigns decided, changed or not.", board.decided)
    yield counter("engine_fleet_changes", "Decisions that changed something.", board.changed)
    yield counter("engine_fleet_samples", "Samples that came in.", samples)
    yield counter(
        "engine_fleet_unreadable_messages",
        "Messages the exporter could not read.",
        board.unreadable,
    )
    yield from _campaigns(board)
    yield from _money(board, now)
    yield from _errors(errors)
    yield from _streams(streams)
    yield from _gateways(board)


def _workers(board: Board) -> Iterable[Metric]:
    alive = {name: one.beat for name, one in board.workers().items() if one.is_alive}
    yield gauge("engine_fleet_workers", "Workers heard now.", len(alive))
    by_worker: dict[str, Mapping[tuple[str], float]] = {
        "partitions": {(name,): float(len(beat.partitions)) for name, beat in alive.items()},
        "lag_frames": {(name,): float(beat.lag_frames) for name, beat in alive.items()},
        "round_seconds": {(name,): beat.round_ms / 1000 for name, beat in alive.items()},
        "late_rounds": {(name,): float(beat.late_rounds) for name, beat in alive.items()},
        "skipped_rounds": {(name,): float(beat.skipped_rounds) for name, beat in alive.items()},
        "shed_rounds": {(name,): float(beat.shed_rounds) for name, beat in alive.items()},
        "shed_share": {(name,): beat.shed_share for name, beat in alive.items()},
    }
    texts = {
        "partitions": "Partitions that a worker says it owns.",
        "lag_frames": "Frames stored and not counted in yet.",
        "round_seconds": "How long the newest round took, due time to commit.",
        "late_rounds": "Rounds later than the interval since the worker's start.",
        "skipped_rounds": "Rounds left out since the worker's start, one before them being late.",
        "shed_rounds": "Rounds left out since the worker's start for those with more at stake.",
        "shed_share": "Share of the work of all rounds that is left out now, 0 to 0.875.",
    }
    for field, text in texts.items():
        yield gauge(f"engine_fleet_worker_{field}", text, by_worker[field], ("worker",))


def _partitions(board: Board, now: float) -> Iterable[Metric]:
    busy = {
        partition_of(name)
        for name, campaign in board.campaigns.items()
        if campaign.state is State.ACTIVE
    }
    held = board.held()
    ages = [
        max(now - owner.decided_at_ms / 1000, 0.0)
        for partition, owner in board.owners.items()
        if partition in busy and owner.decided_at_ms
    ]
    yield gauge("engine_fleet_partitions", "Partitions there are.", PARTITIONS)
    yield gauge("engine_fleet_partitions_owned", "Partitions that a worker alive owns.", len(held))
    yield gauge(
        "engine_fleet_partitions_unowned",
        "Partitions with active campaigns that nobody alive owns.",
        len(busy - held.keys()),
    )
    yield gauge(
        "engine_fleet_oldest_round_seconds",
        "Age of the newest round, of the partition with active campaigns where it is oldest.",
        max(ages, default=0.0),
    )
    yield gauge(
        "engine_fleet_halted_partitions",
        "Partitions in which the kill switch is on.",
        sum(one.is_halted for one in board.halted.values()),
    )


def _campaigns(board: Board) -> Iterable[Metric]:
    states = dict.fromkeys(((state.value,) for state in State), 0)
    for campaign in board.campaigns.values():
        states[campaign.state.value,] += 1
    yield gauge("engine_fleet_campaigns", "Campaigns, by state.", states, ("state",))
    actions = dict.fromkeys(((code_name(action),) for action in Action), 0)
    bindings: dict[tuple[str], int] = {}
    for (action, binding), count in board.actions().items():
        actions[code_name(Action(action)),] += count
        key = (code_name(Binding(binding)),)
        bindings[key] = bindings.get(key, 0) + count
    yield gauge(
        "engine_fleet_campaigns_by_action",
        "Campaigns by what their newest decision does.",
        actions,
        ("action",),
    )
    yield gauge(
        "engine_fleet_campaigns_by_binding",
        "Campaigns by what bound their newest decision.",
        bindings,
        ("binding",),
    )


def _money(board: Board, now: float) -> Iterable[Metric]:
    sums: dict[str, dict[tuple[str], float]] = {
        name: {} for name in ("settled", "reserved", "planned", "budget")
    }
    for name, campaign in board.campaigns.items():
        definition = campaign.definition
        settled, reserved = board.ledger(name) or (0, 0)
        amounts = {
            "settled": settled,
            "reserved": reserved,
            "planned": planned_micros(definition, now),
            "budget": definition.budget_micros,
        }
        for field, micros in amounts.items():
            key = (definition.currency,)
            sums[field][key] = sums[field].get(key, 0.0) + micros / MICROS
    texts = {
        "settled": "Spend that reports have shown, over all campaigns.",
        "reserved": "What platforms may still spend on caps given.",
        "planned": "What even plans would have spent by now.",
        "budget": "Budgets of all campaigns.",
    }
    for field, text in texts.items():
        yield gauge(f"engine_fleet_{field}", f"{text} By currency.", sums[field], ("currency",))


def _errors(errors: ForecastErrors) -> Iterable[Metric]:
    labels = ("platform", "currency")
    money = {
        "spend_expected": "Spend that forecasts expected for the clicks that came.",
        "spend": "Spend of samples that had a forecast.",
        "spend_error": "Absolute difference of the two, sample by sample.",
    }
    counts = {
        "clicks": "Clicks of samples that had a forecast.",
        "conversions_expected": "Conversions that forecasts expected for the clicks that came.",
        "conversions": "Conversions of samples that had a forecast.",
        "conversions_error": "Absolute difference of the two, sample by sample.",
    }
    for field, text in money.items():
        values = {key: getattr(one, field) / MICROS for key, one in errors.sums.items()}
        yield counter(f"engine_forecast_{field}", text, values, labels)
    for field, text in counts.items():
        values = {key: float(getattr(one, field)) for key, one in errors.sums.items()}
        yield counter(f"engine_forecast_{field}", text, values, labels)


def _streams(streams: Sequence[StreamFacts]) -> Iterable[Metric]:
    known = [one for one in streams if not one.problem]
    fields = {
        "messages": "Messages that a stream holds.",
        "bytes": "Bytes that a stream holds.",
        "max_bytes": "Bytes that a stream may hold; -1: any number.",
    }
    for field, text in fields.items():
        values = {(one.stream,): float(getattr(one, field)) for one in known}
        yield gauge(f"engine_stream_{field}", text, values, ("stream",))
    lagging = {(one.stream,): float(len(one.lagging)) for one in known}
    yield gauge("engine_stream_lagging_replicas", "Replicas behind or away.", lagging, ("stream",))


def _gateways(board: Board) -> Iterable[Metric]:
    heard = board.gateways()
    accounts = {
        (status.gateway, one.platform, one.ad_account): one
        for status in heard.values()
        for one in status.accounts
    }
    yield gauge("engine_fleet_gateways", "Gateways heard now.", len(heard))
    yield gauge(
        "engine_gateway_halted",
        "1 while a gateway has halted.",
        {(name,): float(status.is_halted) for name, status in heard.items()},
        ("gateway",),
    )
    simple: dict[str, str] = {
        "is_live": "1 where changes are really made, 0 in a dry run.",
        "rate_per_s": "Operations a second that the platform's limit allows now.",
        "waiting": "Changes that wait.",
        "operations_reserved": "Operations kept for emergency stops.",
        "linked": "Campaigns whose entity on the platform is known.",
        "unlinked": "Campaigns whose claim does not hold: another currency, or taken.",
        "unknown_sales": "Conversions of the look-back that no order id was told of.",
    }
    for field, text in simple.items():
        name = f"engine_gateway_{field.removeprefix('is_')}"
        yield gauge(name, text, _of(accounts, field), _ACCOUNT)
    optional: dict[str, str] = {
        "operations_left": "Operations left of the day's quota.",
        "operations_a_day": "Operations that a day allows.",
        "report_age_s": "Seconds since the newest report came in.",
    }
    for field, text in optional.items():
        name = f"engine_gateway_{field.removesuffix('_s')}{'_seconds' * field.endswith('_s')}"
        yield gauge(name, text, _of(accounts, field), _ACCOUNT)
    counted: dict[str, str] = {
        "applied": "Changes that the platform accepted.",
        "rejected": "Changes that the platform said no to.",
        "failed": "Changes given up after retries.",
        "retried": "Calls made again.",
        "refused_here": "Changes that the last look found wrong.",
        "improved": "Changes judged a day later: they helped.",
        "worse": "Changes judged a day later: they did harm.",
        "inconclusive": "Changes judged a day later: nobody can say.",
        "duplicate_sales": "Sales claimed by two platforms, counted once.",
    }
    for field, text in counted.items():
        yield counter(f"engine_gateway_{field}", text, _of(accounts, field), _ACCOUNT)
    yield gauge(
        "engine_gateway_breaker",
        "1 for the state that the circuit breaker is in.",
        {
            (*key, state): float(one.breaker == state)
            for key, one in accounts.items()
            for state in _BREAKERS
        },
        (*_ACCOUNT, "state"),
    )
    yield gauge(
        "engine_gateway_anomalies",
        "Entities whose reports look wrong now, by what.",
        {
            (*key, kind): float(one.anomalies.get(kind, 0))
            for key, one in accounts.items()
            for kind in _ANOMALIES
        },
        (*_ACCOUNT, "kind"),
    )
    yield gauge(
        "engine_gateway_held_back",
        "Changes held back, by why.",
        {
            (*key, reason): float(count)
            for key, one in accounts.items()
            for reason, count in one.held_back.items()
        },
        (*_ACCOUNT, "reason"),
    )


def _of(
    accounts: Mapping[tuple[str, str, str], AccountStatus], field: str
) -> dict[tuple[str, str, str], float]:
    found: dict[tuple[str, str, str], Any] = {
        key: getattr(one, field) for key, one in accounts.items()
    }
    return {key: float(value) for key, value in found.items() if value is not None}
