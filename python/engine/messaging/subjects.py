"""Names of streams and subjects: the one place they are written down."""

__all__ = [
    "CAMPAIGNS_BUCKET",
    "CAMPAIGNS_STREAM",
    "CHANGES_STREAM",
    "DEAD_STREAM",
    "DECISIONS_STREAM",
    "HALT_NAME",
    "METRICS_STREAM",
    "REPORTED_STREAM",
    "STATE_STREAM",
    "breaker_subject",
    "campaign_key",
    "campaign_subject",
    "changes_subject",
    "control_subject",
    "dead_subject",
    "decisions_subject",
    "entry_subject",
    "gateway_subject",
    "heartbeat_subject",
    "metrics_subject",
    "orders_subject",
    "reported_subject",
    "share_name",
    "state_subject",
]

METRICS_STREAM = "ENGINE_METRICS"
DECISIONS_STREAM = "ENGINE_DECISIONS"
STATE_STREAM = "ENGINE_STATE"
DEAD_STREAM = "ENGINE_DEAD"
CHANGES_STREAM = "ENGINE_CHANGES"
REPORTED_STREAM = "ENGINE_REPORTED"
CAMPAIGNS_BUCKET = "engine_campaigns"
CAMPAIGNS_STREAM = f"KV_{CAMPAIGNS_BUCKET}"


def metrics_subject(partition: int | str) -> str:
    return f"engine.metrics.{partition}"


def decisions_subject(partition: int | str) -> str:
    return f"engine.decisions.{partition}"


def state_subject(partition: int | str) -> str:
    return f"engine.state.{partition}"


def dead_subject(origin: str) -> str:
    return f"engine.dead.{origin}"


def heartbeat_subject(worker: str) -> str:
    return f"engine.heartbeat.{worker}"


def gateway_subject(gateway: str) -> str:
    return f"engine.gateway.{gateway}"


def changes_subject(platform: str, ad_account: str) -> str:
    """Return the subject of an ad account's journal: what was changed there, and why."""
    return f"engine.changes.{platform}.{ad_account}"


def orders_subject(platform: str, ad_account: str) -> str:
    """Return the subject of what people order for an ad account: roll-backs."""
    return f"engine.orders.{platform}.{ad_account}"


def breaker_subject(platform: str, ad_account: str = "") -> str:
    """Return the subject of a circuit breaker: of a platform, or of one of its ad accounts."""
    return f"engine.breaker.{platform}" + (f".{ad_account}" if ad_account else "")


def reported_subject(platform: str, ad_account: str) -> str:
    """Return the subject of how far an ad account's reports have become samples."""
    return f"engine.reported.{platform}.{ad_account}"


def campaign_key(partition: int, campaign: str) -> str:
    """Return the key of a campaign within the bucket."""
    return f"{partition}.{campaign}"


def campaign_subject(partition: int | str, campaign: str = "*") -> str:
    """Return the subject of a campaign's entry; of all campaigns of a partition, without one."""
    return f"$KV.{CAMPAIGNS_BUCKET}.{partition}.{campaign}"


def entry_subject(partition: int | str) -> str:
    """Return the subject of all entries of a partition: campaigns, shares and the kill switch."""
    return f"$KV.{CAMPAIGNS_BUCKET}.{partition}.>"


def control_subject(partition: int | str, name: str) -> str:
    """Return the subject of an entry that is no campaign: one token more than theirs have."""
    return f"$KV.{CAMPAIGNS_BUCKET}.{partition}.{name}"


def share_name(account: str) -> str:
    """Return the name of an account's share among the entries of a partition."""
    return f"account.{account}"


HALT_NAME = "halt.fleet"
"""The name of the kill switch among the entries of a partition."""
