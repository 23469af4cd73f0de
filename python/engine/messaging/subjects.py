"""Names of streams and subjects: the one place they are written down."""

__all__ = [
    "CAMPAIGNS_BUCKET",
    "CAMPAIGNS_STREAM",
    "DEAD_STREAM",
    "DECISIONS_STREAM",
    "METRICS_STREAM",
    "STATE_STREAM",
    "campaign_key",
    "campaign_subject",
    "dead_subject",
    "decisions_subject",
    "heartbeat_subject",
    "metrics_subject",
    "state_subject",
]

METRICS_STREAM = "ENGINE_METRICS"
DECISIONS_STREAM = "ENGINE_DECISIONS"
STATE_STREAM = "ENGINE_STATE"
DEAD_STREAM = "ENGINE_DEAD"
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


def campaign_key(partition: int, campaign: str) -> str:
    """Return the key of a campaign within the bucket."""
    return f"{partition}.{campaign}"


def campaign_subject(partition: int | str, campaign: str = ">") -> str:
    return f"$KV.{CAMPAIGNS_BUCKET}.{partition}.{campaign}"
